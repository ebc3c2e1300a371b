/*
 * Bytes of a snapshot of the management service's state: records one behind the other, each a kind
 * (u8), a length (varint) and a packed message Ms.Snap* of mscmd.proto; the record of kind SNAP_END
 * has neither length nor message and ends it. The record of kind SNAP_SYSTEM comes first and
 * carries the version.
 *
 * No checksum here: a snapshot is the content of a struct rlog_snap_df
 * (cluster/raft/rlog_format.h), whose checksum covers it, and reaches other replicas in messages of
 * raft.
 */
#ifndef MGMT_SNAPSHOT_FORMAT_H
#define MGMT_SNAPSHOT_FORMAT_H

enum {
	SNAP_VERSION = 1,
	SNAP_RECORD_MAX = 64 << 20,
};

enum snap_kind {
	SNAP_SYSTEM = 1,
	SNAP_RANK = 2,
	SNAP_POOL = 3,
	SNAP_CONT = 4,
	SNAP_HANDLE = 5,
	SNAP_TOMB = 6,
	SNAP_SESSION = 7,
	SNAP_END = 255,
};

#endif
