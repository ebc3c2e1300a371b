"""One container mounted twice without caching: what one mount was told is done, the other sees, and each sees its own."""
import os
import sys
import threading

A, B = sys.argv[1], sys.argv[2]


def both_ways(n):
    """Sizes through paths and through open files, right after the other mount wrote."""
    for here, there in ((A, B), (B, A)):
        wfd = os.open(f"{here}/grow", os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o644)
        rfd = os.open(f"{there}/grow", os.O_RDONLY)
        for i in range(1, n + 1):
            assert os.stat(f"{there}/grow").st_size == i - 1
            os.write(wfd, b"x")
            assert os.fstat(rfd).st_size == i, (i, os.fstat(rfd).st_size)
            assert os.fstat(wfd).st_size == i
            assert os.stat(f"{here}/grow").st_size == i
        os.ftruncate(wfd, 0)
        assert os.stat(f"{there}/grow").st_size == 0
        os.close(wfd)
        os.close(rfd)


def looked_up_only(n):
    """A name that is looked up without a question for its attributes, then written by another thread of this mount."""
    fd = os.open(f"{A}/own", os.O_CREAT | os.O_RDWR | os.O_TRUNC, 0o644)
    done, go = threading.Event(), threading.Event()
    size, stop = [0], [False]

    def writer():
        while True:
            go.wait()
            go.clear()
            if stop[0]:
                return
            os.pwrite(fd, b"y", size[0])
            done.set()

    t = threading.Thread(target=writer)
    t.start()
    for i in range(n):
        assert os.access(f"{A}/own", os.R_OK)
        go.set()
        done.wait()
        done.clear()
        size[0] += 1
        assert os.fstat(fd).st_size == size[0]
    stop[0] = True
    go.set()
    t.join()
    os.close(fd)


def names():
    """Renamed and replaced through the other mount."""
    for i in range(20):
        with open(f"{A}/one", "w") as f:
            f.write("1")
        assert os.stat(f"{B}/one").st_size == 1
        os.rename(f"{A}/one", f"{A}/two")
        assert os.stat(f"{B}/two").st_size == 1
        assert not os.path.exists(f"{B}/one")
        with open(f"{A}/three", "w") as f:
            f.write("333")
        os.rename(f"{A}/three", f"{A}/two")
        assert os.stat(f"{B}/two").st_size == 3
        os.unlink(f"{B}/two")
        assert not os.path.exists(f"{A}/two")
        os.mkdir(f"{A}/two")
        assert os.path.isdir(f"{B}/two")
        os.rmdir(f"{B}/two")


def removed_while_open():
    fd = os.open(f"{A}/gone", os.O_CREAT | os.O_RDWR, 0o644)
    os.write(fd, b"abc")
    os.unlink(f"{A}/gone")
    st = os.fstat(fd)
    assert st.st_nlink == 0 and st.st_size == 3, st
    os.close(fd)


def chunks():
    """Beyond the first chunk, where the size comes from several groups."""
    big = b"z" * (5 << 20)
    with open(f"{A}/big", "wb") as f:
        f.write(big)
    assert os.stat(f"{B}/big").st_size == len(big)
    os.truncate(f"{B}/big", 3)
    assert os.stat(f"{A}/big").st_size == 3
    os.truncate(f"{B}/big", 0)
    fd = os.open(f"{A}/big", os.O_WRONLY)
    os.pwrite(fd, b"tail", 4 << 20)
    assert os.stat(f"{B}/big").st_size == (4 << 20) + 4
    os.unlink(f"{B}/big")
    os.close(fd)


both_ways(100)
looked_up_only(100)
names()
removed_while_open()
chunks()
