/* Where the groups of an object are by one pool map. */
#ifndef CLIENT_OBJ_LAYOUT_H
#define CLIENT_OBJ_LAYOUT_H

#include "client/object/obj.h"

struct obj_target {
	uint32_t rank;
	uint32_t index; /* within the rank */
	bool absent;    /* it is out of service, and nobody can stand in for it */
};

/* Layout by the pool's current map, counted. */
int obj_layout_get(struct obj *obj, struct obj_layout **ret_layout);
void obj_layout_put(struct obj_layout *layout);
struct pool_map *obj_layout_map(const struct obj_layout *layout);
int obj_layout_target(const struct obj *obj, struct obj_layout *layout, uint32_t group,
		      uint32_t member, struct obj_target *ret_target);

#endif
