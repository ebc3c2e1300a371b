/*
 * Error numbers of the public interface, their names and their texts.
 *
 * Every daos_* and d_* call returns 0 (DER_SUCCESS) or the negative of one of these numbers; dfs_*
 * and duns_* return errno values instead. The numbers are part of the ABI: each range starts right
 * above its base and is consecutive, so a new code is only ever added at the end of a range.
 *
 * The two tables are the only place where a code is spelled. ACTION(name, text) gets the text as
 * bare words (no commas, no quotes), to be turned into a string by the # operator.
 */
#ifndef DAOS_ERRNO_H
#define DAOS_ERRNO_H

#if defined(__cplusplus)
extern "C" {
#endif

/* clang-format off */

/** Codes 1001 and up: general and transport failures. */
#define D_FOREACH_GURT_ERR(ACTION) \
	ACTION(DER_NO_PERM, Caller lacks the right for this action) \
	ACTION(DER_NO_HDL, Handle value is not (or no longer) known) \
	ACTION(DER_INVAL, Bad argument or unsupported combination of arguments) \
	ACTION(DER_EXIST, The thing to create is already there) \
	ACTION(DER_NONEXIST, The named thing does not exist) \
	ACTION(DER_UNREACH, Peer engine cannot be contacted) \
	ACTION(DER_NOSPACE, Storage tier is full) \
	ACTION(DER_ALREADY, The work was done earlier and nothing is left to do) \
	ACTION(DER_NOMEM, Allocation failed) \
	ACTION(DER_NOSYS, Feature not built or not written) \
	ACTION(DER_TIMEDOUT, Deadline passed) \
	ACTION(DER_BUSY, Resource is in use) \
	ACTION(DER_AGAIN, Temporary condition - try again) \
	ACTION(DER_PROTO, Two ends disagree on wire protocol version) \
	ACTION(DER_UNINIT, Library or service used before initialisation) \
	ACTION(DER_TRUNC, Caller buffer smaller than the data) \
	ACTION(DER_OVERFLOW, Value does not fit type or buffer) \
	ACTION(DER_CANCELED, Transport operation was cancelled) \
	ACTION(DER_OOG, Rank is outside the current group membership) \
	ACTION(DER_HG, Retryable transport failure) \
	ACTION(DER_UNREG, RPC opcode or version unknown to peer) \
	ACTION(DER_ADDRSTR_GEN, Could not build an address string) \
	ACTION(DER_PMIX, PMIx bootstrap failure) \
	ACTION(DER_IVCB_FORWARD, Incast variable is not held locally - ask the parent) \
	ACTION(DER_MISC, Unclassified failure) \
	ACTION(DER_BADPATH, Malformed path) \
	ACTION(DER_NOTDIR, Path component is not a directory) \
	ACTION(DER_CORPC_INCOMPLETE, A collective call failed on part of the tree) \
	ACTION(DER_NO_RAS_RANK, Nobody subscribed to RAS events) \
	ACTION(DER_NOTATTACH, Client has not attached to the service group) \
	ACTION(DER_MISMATCH, Versions differ) \
	ACTION(DER_EXCLUDED, The rank was excluded from the system or pool) \
	ACTION(DER_NOREPLY, RPC handler finished without replying) \
	ACTION(DER_DOS, Server refused work under overload or inflight limits) \
	ACTION(DER_BAD_TARGET, RPC reached a wrong target) \
	ACTION(DER_GRPVER, Group (membership) versions differ) \
	ACTION(DER_HLC_SYNC, Clocks too far apart for hybrid logical clock) \
	ACTION(DER_NO_SHMEM, Shared memory exhausted) \
	ACTION(DER_ADD_METRIC_FAILED, Metric could not be registered) \
	ACTION(DER_DURATION_MISMATCH, Duration metric stop without start) \
	ACTION(DER_OP_NOT_PERMITTED, Operation is invalid for that type of metric) \
	ACTION(DER_EXCEEDS_PATH_LEN, Metric path too long) \
	ACTION(DER_METRIC_NOT_FOUND, Metric absent) \
	ACTION(DER_SHMEM_PERMS, Segment owned by other user or group) \
	ACTION(DER_HG_FATAL, Non-retryable transport failure) \
	ACTION(DER_QUOTA_LIMIT, Resource quota reached)

/** Codes 2001 and up: storage, pool and transaction failures. */
#define D_FOREACH_DAOS_ERR(ACTION) \
	ACTION(DER_IO, Input or output failed) \
	ACTION(DER_FREE_MEM, Freeing memory failed) \
	ACTION(DER_ENOENT, Entry missing in a lookup) \
	ACTION(DER_NOTYPE, Object type unknown) \
	ACTION(DER_NOSCHEMA, Object schema unknown) \
	ACTION(DER_NOLOCAL, Object not held locally) \
	ACTION(DER_STALE, Caller used an old pool map version) \
	ACTION(DER_NOTLEADER, Replica asked is not the raft leader) \
	ACTION(DER_TGT_CREATE, Target could not be created) \
	ACTION(DER_EP_RO, Epoch cannot be modified) \
	ACTION(DER_EP_OLD, Epoch predates reclaimed history) \
	ACTION(DER_KEY2BIG, Key longer than allowed) \
	ACTION(DER_REC2BIG, Record larger than allowed) \
	ACTION(DER_IO_INVAL, Sgl does not match described extents) \
	ACTION(DER_EQ_BUSY, Event queue still has in-flight events) \
	ACTION(DER_DOMAIN, Fault-domain descriptions disagree) \
	ACTION(DER_SHUTDOWN, Service is stopping) \
	ACTION(DER_INPROGRESS, Already under way) \
	ACTION(DER_NOTAPPLICABLE, Request makes no sense here) \
	ACTION(DER_NOTREPLICA, Rank holds no replica of that service) \
	ACTION(DER_CSUM, Checksum does not match the data) \
	ACTION(DER_DF_INVAL, On-media format not recognised) \
	ACTION(DER_DF_INCOMPT, On-media format version incompatible) \
	ACTION(DER_REC_SIZE, Record size differs from stored record size) \
	ACTION(DER_TX_RESTART, Transaction conflict - restart the transaction and redo it) \
	ACTION(DER_DATA_LOSS, Data cannot be recovered) \
	ACTION(DER_OP_CANCELED, Operation was cancelled) \
	ACTION(DER_TX_BUSY, Touching data of an undecided transaction) \
	ACTION(DER_AGENT_INCOMPAT, Agent and client library versions incompatible) \
	ACTION(DER_NEED_TX, Operation must go through a distributed transaction) \
	ACTION(DER_RF, More failures than the redundancy factor allows) \
	ACTION(DER_FETCH_AGAIN, Fetch has to be repeated) \
	ACTION(DER_TX_UNCERTAIN, Fate of the transaction is unknown on this replica) \
	ACTION(DER_AGENT_COMM, Cannot talk to agent socket) \
	ACTION(DER_ID_MISMATCH, Identifier differs from stored one) \
	ACTION(DER_TGT_RETRY, Retry with another target) \
	ACTION(DER_NOTSUPPORTED, Valid but unsupported operation) \
	ACTION(DER_CONTROL_INCOMPAT, Control-plane component versions incompatible) \
	ACTION(DER_NO_SERVICE, Service unavailable) \
	ACTION(DER_TX_ID_REUSED, Transaction id seen before) \
	ACTION(DER_UPDATE_AGAIN, Update has to be repeated) \
	ACTION(DER_NVME_IO, Block device input or output failed) \
	ACTION(DER_NO_CERT, Certificate file unreadable) \
	ACTION(DER_BAD_CERT, Certificate invalid) \
	ACTION(DER_VOS_PARTIAL_UPDATE, Partial overwrite at the same epoch refused) \
	ACTION(DER_CHKPT_BUSY, Page is read only during a checkpoint) \
	ACTION(DER_DIV_BY_ZERO, Division by zero) \
	ACTION(DER_OVERLOAD_RETRY, Target is overloaded - retry later) \
	ACTION(DER_NOT_RESUME, Checker instance cannot be resumed) \
	ACTION(DER_CONT_NONEXIST, Container absent) \
	ACTION(DER_CONT_DESTROYING, Container being destroyed) \
	ACTION(DER_IGNORE, Iteration item to be skipped)

/** Ranges of codes: ACTION(name, base). */
#define D_FOREACH_ERR_RANGE(ACTION) \
	ACTION(GURT, 1000) \
	ACTION(DAOS, 2000)

/** Building blocks for tables made from the lists above. */
#define D_DEFINE_ERRNO(name, desc)   name,
#define D_DEFINE_ERRSTR(name, desc)  #name,
#define D_DEFINE_ERRDESC(name, desc) #desc,

#define D_DEFINE_RANGE_ERRNO(name, base) \
	DER_ERR_##name##_BASE = (base), D_FOREACH_##name##_ERR(D_DEFINE_ERRNO)

enum daos_errno {
	DER_SUCCESS = 0,
	D_FOREACH_ERR_RANGE(D_DEFINE_RANGE_ERRNO)
	/** One past the last code in use; never returned. */
	DER_LAST_VALID,
	/** Stands for a number that is in no table. */
	DER_UNKNOWN = (DER_ERR_GURT_BASE + 500000),
};

/* clang-format on */

#pragma GCC visibility push(default)

/**
 * Symbolic name of a code ("DER_NOMEM"), for either sign of the number. The string is static; an
 * unknown number gives "DER_UNKNOWN".
 */
const char *d_errstr(int errnum);

/** Sentence for a code, for either sign. The string is static; unknown numbers have one too. */
const char *d_errdesc(int errnum);

#pragma GCC visibility pop

/** Old name of DER_EXCLUDED. */
#define DER_EVICTED DER_EXCLUDED

/** printf format and arguments that show a return code by name, number and text. */
#ifndef DF_RC
#define DF_RC     "%s(%d): '%s'"
#define DP_RC(rc) d_errstr(rc), rc, d_errdesc(rc)
#endif

#if defined(__cplusplus)
}
#endif

#endif /* DAOS_ERRNO_H */
