/* Numbers used inside control messages. */
#ifndef PROTO_MGMT_DEFS_H
#define PROTO_MGMT_DEFS_H

enum sys_rank_state { /* of a rank in the system, as shown by dmg */
		      SYS_ST_UNKNOWN = 0,
		      SYS_ST_AWAIT_FORMAT = 1,
		      SYS_ST_STARTING = 2,
		      SYS_ST_READY = 3,
		      SYS_ST_JOINED = 4,
		      SYS_ST_STOPPING = 5,
		      SYS_ST_STOPPED = 6,
		      SYS_ST_EXCLUDED = 7,
		      SYS_ST_ERRORED = 8,
		      SYS_ST_UNRESPONSIVE = 9,
		      SYS_ST_ADMIN_EXCLUDED = 10,
};
enum pool_state {
	POOL_ST_CREATING = 0,
	POOL_ST_READY = 1,
	POOL_ST_DESTROYING = 2,
	POOL_ST_TARGETS_EXCLUDED = 3,
};
enum target_state { /* of a target in a pool map */
		    TGT_ST_NEW = 1,
		    TGT_ST_UP = 2,
		    TGT_ST_UPIN = 4,
		    TGT_ST_DOWN = 8,
		    TGT_ST_DOWNOUT = 16,
		    TGT_ST_DRAIN = 32,
};
enum prop_kind { PROP_KIND_NUM = 1, PROP_KIND_STR = 2, PROP_KIND_BLOB = 3 };
enum agent_method { AGENT_ATTACH_INFO = 1, AGENT_CREDENTIAL = 2 };

#define MGMT_RANK_NONE UINT32_MAX
#define LEASE_MS       3000
#define HEARTBEAT_MS   500

#endif
