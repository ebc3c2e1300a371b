"""File system calls as programs make them, in a directory of a mounted container; exit status 0 if all behave."""
import errno
import fcntl
import mmap
import os
import stat
import sys
import threading
import time

top = sys.argv[1]


def raises(code, fn, *args, **kw):
    try:
        fn(*args, **kw)
    except OSError as e:
        assert e.errno == code, (fn.__name__, args, errno.errorcode.get(e.errno), "instead of", errno.errorcode[code])
        return
    raise AssertionError((fn.__name__, args, "did not fail with", errno.errorcode[code]))


def write(path, data, flags=os.O_CREAT | os.O_WRONLY | os.O_TRUNC):
    fd = os.open(path, flags, 0o644)
    while data:
        data = data[os.write(fd, data):]
    os.close(fd)


def read(path):
    with open(path, "rb") as f:
        return f.read()


def create():
    write("a", b"hello")
    assert read("a") == b"hello"
    raises(errno.EEXIST, os.open, "a", os.O_CREAT | os.O_EXCL | os.O_WRONLY)
    raises(errno.ENOENT, os.open, "none", os.O_RDONLY)
    raises(errno.ENOTDIR, os.open, "a/b", os.O_RDONLY)
    raises(errno.ENAMETOOLONG, os.open, "n" * 256, os.O_CREAT | os.O_WRONLY)
    os.close(os.open("n" * 255, os.O_CREAT | os.O_WRONLY))
    raises(errno.EISDIR, os.open, ".", os.O_WRONLY)
    winners = []

    def race():
        try:
            os.close(os.open("race", os.O_CREAT | os.O_EXCL | os.O_WRONLY))
            winners.append(1)
        except FileExistsError:
            pass
    threads = [threading.Thread(target=race) for _ in range(8)]
    [t.start() for t in threads]
    [t.join() for t in threads]
    assert len(winners) == 1, winners


def sizes():
    fd = os.open("s", os.O_CREAT | os.O_RDWR)
    os.pwrite(fd, b"x" * 10, 3_000_000)
    assert os.fstat(fd).st_size == 3_000_010
    assert os.pread(fd, 4096, 1_000_000) == bytes(4096)
    os.ftruncate(fd, 3_000_005)
    assert os.pread(fd, 100, 2_999_999) == b"\0" + b"x" * 5
    os.ftruncate(fd, 3_100_000)
    assert os.pread(fd, 100, 3_000_000) == b"x" * 5 + bytes(95)
    os.ftruncate(fd, 0)
    assert os.pread(fd, 100, 0) == b"" and os.fstat(fd).st_size == 0
    os.pwrite(fd, b"tail", 1_048_574)  # across a chunk boundary
    assert os.pread(fd, 4, 1_048_574) == b"tail"
    os.posix_fallocate(fd, 0, 2_000_000)
    assert os.fstat(fd).st_size == 2_000_000 and os.pread(fd, 4, 1_048_574) == b"tail"
    os.fsync(fd)
    os.close(fd)
    write("t", b"0123456789")
    os.truncate("t", 4)
    assert read("t") == b"0123"
    write("t", b"new", os.O_WRONLY | os.O_TRUNC)
    assert read("t") == b"new"


def append():
    fds = [os.open("app", os.O_CREAT | os.O_WRONLY | os.O_APPEND) for _ in range(2)]
    for i in range(50):
        os.write(fds[i % 2], b"%04d" % i)
    [os.close(fd) for fd in fds]
    assert read("app") == b"".join(b"%04d" % i for i in range(50))


def names():
    os.mkdir("d")
    os.mkdir("d/e")
    raises(errno.EEXIST, os.mkdir, "d")
    raises(errno.ENOTEMPTY, os.rmdir, "d")
    raises(errno.ENOTDIR, os.rmdir, "a")
    raises(errno.EISDIR, os.unlink, "d")
    write("r1", b"one")
    write("r2", b"two")
    os.rename("r1", "r2")
    assert read("r2") == b"one" and not os.path.exists("r1")
    os.rename("r2", "r2")
    raises(errno.ENOENT, os.rename, "r1", "r3")
    raises(errno.EISDIR, os.rename, "r2", "d")
    raises(errno.ENOTDIR, os.rename, "d", "r2")
    os.mkdir("d2")
    os.rename("d/e", "d2")  # replaces an empty directory
    raises(errno.EINVAL, os.rename, "d2", "d2/x")
    os.mkdir("full")
    write("full/f", b"")
    raises(errno.ENOTEMPTY, os.rename, "d2", "full")
    os.rename("r2", "full/r")
    assert sorted(os.listdir("full")) == ["f", "r"] and read("full/r") == b"one"
    os.rename("full", "moved")
    assert read("moved/r") == b"one"
    raises(errno.ENOTSUP, os.mknod, "fifo", stat.S_IFIFO | 0o600)


def links():
    os.symlink("a", "l")
    assert os.readlink("l") == "a" and read("l") == b"hello"
    assert stat.S_ISLNK(os.lstat("l").st_mode) and os.lstat("l").st_size == 1
    os.symlink("loop", "loop")
    raises(errno.ELOOP, os.open, "loop", os.O_RDONLY)
    os.symlink("x" * 4000, "long")
    assert os.readlink("long") == "x" * 4000
    os.rename("l", "l2")
    assert os.readlink("l2") == "a"
    os.unlink("l2")


def attributes():
    write("m", b"x")
    os.chmod("m", 0o4751)
    assert stat.S_IMODE(os.stat("m").st_mode) == 0o4751
    os.chown("m", 12, 34)
    st = os.stat("m")
    assert (st.st_uid, st.st_gid) == (12, 34)
    os.utime("m", ns=(1_000_000_001, 1_234_567_890_123_456_789))
    assert os.stat("m").st_mtime_ns == 1_234_567_890_123_456_789
    time.sleep(0.01)
    write("m", b"later", os.O_WRONLY)
    time.sleep(1.1)
    assert abs(os.stat("m").st_mtime - time.time()) < 10
    assert os.stat(".").st_nlink >= 1
    st = os.statvfs(".")
    assert 0 < st.f_bavail <= st.f_blocks


def xattrs():
    write("x", b"")
    os.setxattr("x", "user.one", b"1" * 1000)
    os.setxattr("x", "user.empty", b"")
    assert os.getxattr("x", "user.one") == b"1" * 1000 and os.getxattr("x", "user.empty") == b""
    assert sorted(os.listxattr("x")) == ["user.empty", "user.one"]
    raises(errno.EEXIST, os.setxattr, "x", "user.one", b"", os.XATTR_CREATE)
    raises(errno.ENODATA, os.setxattr, "x", "user.none", b"", os.XATTR_REPLACE)
    raises(errno.ENODATA, os.getxattr, "x", "user.none")
    os.rename("x", "x2")
    assert os.getxattr("x2", "user.one") == b"1" * 1000
    os.removexattr("x2", "user.one")
    assert os.listxattr("x2") == ["user.empty"]


def unlinked():
    fd = os.open("gone", os.O_CREAT | os.O_RDWR)
    os.write(fd, b"still here")
    os.unlink("gone")
    assert not os.path.exists("gone")
    os.pwrite(fd, b"STILL", 0)
    assert os.pread(fd, 100, 0) == b"STILL here" and os.fstat(fd).st_size == 10
    os.ftruncate(fd, 5)
    assert os.fstat(fd).st_size == 5
    write("gone", b"another")
    assert os.pread(fd, 100, 0) == b"STILL" and read("gone") == b"another"
    os.close(fd)
    write("old", b"old")
    write("new", b"new")
    fd = os.open("old", os.O_RDONLY)
    os.rename("new", "old")
    assert os.read(fd, 10) == b"old" and read("old") == b"new"
    os.close(fd)


def mapped():
    write("map", bytes(100_000))
    fd = os.open("map", os.O_RDWR)
    m = mmap.mmap(fd, 100_000)
    m[50_000:50_005] = b"hello"
    m.flush()
    assert os.pread(fd, 5, 50_000) == b"hello"
    m.close()
    os.close(fd)
    assert read("map")[50_000:50_005] == b"hello"


def locks():
    fd = os.open("lock", os.O_CREAT | os.O_RDWR)
    fcntl.flock(fd, fcntl.LOCK_EX)
    fd2 = os.open("lock", os.O_RDWR)
    raises(errno.EWOULDBLOCK, fcntl.flock, fd2, fcntl.LOCK_EX | fcntl.LOCK_NB)
    os.close(fd)
    fcntl.flock(fd2, fcntl.LOCK_EX | fcntl.LOCK_NB)
    os.close(fd2)


def many():
    os.mkdir("many")
    for i in range(600):
        write("many/f%d" % i, b"")
    assert len(os.listdir("many")) == 600
    assert sum(1 for e in os.scandir("many") if e.is_file() and e.stat().st_size == 0) == 600
    for e in os.scandir("many"):  # removing while listing
        os.unlink(e.path)
    os.rmdir("many")


os.mkdir(top)
os.chdir(top)
for test in (create, sizes, append, names, links, attributes, xattrs, unlinked, mapped, locks, many):
    test()
    print("ok", test.__name__)
