/*
 * Every remote procedure: opcode, who serves it, what its bodies are.
 *
 * Tag 0 of a rank is its system xstream (management service replicas, pool control); tags 1..n are
 * its targets 0..n-1. Control bodies are protobuf messages of proto/mgmt.proto and
 * proto/engine.proto; object bodies use the compact codec of proto/obj_proto.h. Opcodes are never
 * reused.
 */
#ifndef PROTO_OPCODES_H
#define PROTO_OPCODES_H

enum proto_opc {
	/* management service: tag 0 of the replicas; not the leader: status -DER_NOTLEADER, body
	   Mgmt__LeaderHint */
	OPC_MS_JOIN = 0x0101,
	OPC_MS_HEARTBEAT,
	OPC_MS_SYSTEM_QUERY,
	OPC_MS_SYSTEM_STOP,
	OPC_MS_ATTACH_INFO,
	OPC_MS_SYSTEM_SET_ATTR,
	OPC_MS_SYSTEM_GET_ATTR,

	OPC_MS_POOL_CREATE = 0x0181,
	OPC_MS_POOL_DESTROY,
	OPC_MS_POOL_LIST,
	OPC_MS_POOL_CONNECT,
	OPC_MS_POOL_DISCONNECT,
	OPC_MS_POOL_QUERY,
	OPC_MS_POOL_MAP_GET,
	OPC_MS_POOL_GET_PROP,
	OPC_MS_POOL_SET_PROP,
	OPC_MS_POOL_ATTR_SET,
	OPC_MS_POOL_ATTR_GET,
	OPC_MS_POOL_ATTR_LIST,
	OPC_MS_POOL_ATTR_DEL,
	OPC_MS_POOL_EVICT,

	OPC_MS_CONT_CREATE = 0x0201,
	OPC_MS_CONT_DESTROY,
	OPC_MS_CONT_OPEN,
	OPC_MS_CONT_CLOSE,
	OPC_MS_CONT_QUERY,
	OPC_MS_CONT_LIST,
	OPC_MS_CONT_GET_PROP,
	OPC_MS_CONT_SET_PROP,
	OPC_MS_CONT_ATTR_SET,
	OPC_MS_CONT_ATTR_GET,
	OPC_MS_CONT_ATTR_LIST,
	OPC_MS_CONT_ATTR_DEL,
	OPC_MS_CONT_ALLOC_OIDS,
	OPC_MS_CONT_RENEW, /* a fresh capability for an open handle */

	/* raft between replicas: tag 0; bodies of cluster/raft */
	OPC_RAFT_MSG = 0x0281,

	/* engine control: tag 0 of any rank */
	OPC_ENG_POOL_CREATE = 0x0301,
	OPC_ENG_POOL_DESTROY,
	OPC_ENG_POOL_QUERY,
	OPC_ENG_CONT_DESTROY,
	OPC_ENG_MAP_PUSH,
	OPC_ENG_STOP,
	OPC_ENG_PING,
	OPC_ENG_START_MS, /* become a management service replica */

	/* object I/O: tags of targets */
	OPC_OBJ_UPDATE = 0x0401,
	OPC_OBJ_FETCH,
	OPC_OBJ_PUNCH,
	OPC_OBJ_LIST,
	OPC_OBJ_QUERY_KEY,
	OPC_OBJ_GROUPS, /* enter groups of an object at its home group */

	/* between the members of a redundancy group (proto/dtx_proto.h): tags of targets */
	OPC_DTX_UPDATE = 0x0481,
	OPC_DTX_PUNCH,
	OPC_DTX_RESOLVE,
};

#endif
