/*
 * A disk that remembers everything a program did to it, so that every state a power failure could
 * have left can be made afterwards, without running the program again.
 *
 * While a journal is attached, each operation on the disk (and each mark the program sets) is an
 * event in it. A replay walks along the events: what is certain to survive up to there is in the
 * disk's image, writes that are not synced yet are pending. At each crash point any selection of
 * the pending writes, whole, torn or out of order, can be put into the image, the store be run on
 * it, and all that be undone: every change of the image is on an undo stack.
 *
 * The rules of survival are those of store/dev/dev.h, as in store/dev/mem.c: a completed plain
 * write may be lost, torn at sectors or reordered until a sync that began after it returned; a
 * write under way may survive in part; a synchronous write is durable when it returns, and no older
 * write comes back over it; names are durable and atomic.
 *
 * One thread. Recording may run under a simulator (operations take time and overtake each other);
 * otherwise everything completes inside the call.
 */
#ifndef TESTS_CRASH_DISK_H
#define TESTS_CRASH_DISK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "store/dev/dev.h"

struct crash_disk;
struct crash_journal;
struct crash_replay;

struct crash_disk *crash_disk_create(void);
void crash_disk_destroy(struct crash_disk *disk);
/* delays: NULL = no I/O takes time. */
struct dev_dir *crash_disk_open(struct crash_disk *disk, struct sim *delays);
/* From now on write to this journal; NULL: no longer. */
void crash_disk_record(struct crash_disk *disk, struct crash_journal *journal);
/* Power off: every call returns -DER_SHUTDOWN; and on again. */
void crash_disk_power(struct crash_disk *disk, bool on);

/* The n-th operation from now (reads, writes, syncs, those on names) fails with -DER_IO and does
 * nothing, once; 0: none. Whether it has happened. */
void crash_disk_fail_at(struct crash_disk *disk, uint64_t nth);
bool crash_disk_fail_fired(const struct crash_disk *disk);
/* Flip a bit; it is on the undo stack. */
void crash_disk_flip(struct crash_disk *disk, const char *name, uint64_t bit);
/* Look at and change bytes, inside one block; changes are on the undo stack. */
void crash_disk_peek(struct crash_disk *disk, const char *name, uint64_t off, void *buf,
		     size_t len);
void crash_disk_poke(struct crash_disk *disk, const char *name, uint64_t off, const void *buf,
		     size_t len);
/* Call fn for every block that was ever written. */
void crash_disk_blocks(struct crash_disk *disk,
		       void (*fn)(const char *name, uint64_t blk, void *arg), void *arg);

/* The undo stack: its height; back to a height; forget it (the image stays as it is). */
size_t crash_disk_height(const struct crash_disk *disk);
void crash_disk_rollback(struct crash_disk *disk, size_t height);
void crash_disk_commit(struct crash_disk *disk);
/* Of the names and contents of all files. Right after creation, crash_replay_next() and
 * crash_replay_survive(), not while the disk is in use. */
uint64_t crash_disk_hash(const struct crash_disk *disk);

struct crash_journal *crash_journal_create(void);
void crash_journal_destroy(struct crash_journal *journal);
/* An event of the program's own; owned by the journal (free()). */
void crash_journal_mark(struct crash_journal *journal, void *mark);
/* The number of events so far. */
uint32_t crash_journal_len(const struct crash_journal *journal);

/* Walk along a journal; the disk must be as it was when the recording began. undo: keep the undo
 * stack, so that the caller can roll back the whole walk. on_mark is called for each mark. */
struct crash_replay *crash_replay_create(struct crash_disk *disk,
					 const struct crash_journal *journal, bool undo,
					 void (*on_mark)(const void *mark, void *arg), void *arg);
void crash_replay_destroy(struct crash_replay *replay);
/* To the next point at which the power can fail; false: the journal has ended. */
bool crash_replay_next(struct crash_replay *replay);
/* Sectors of the writes whose fate is open. */
uint32_t crash_replay_open_sectors(const struct crash_replay *replay);
/* Put what survives into the image. variant 0: none of what is pending; 1: all of it; others: by
 * chance. */
void crash_replay_survive(struct crash_replay *replay, uint64_t variant, uint64_t seed);

#endif
