/* Properties between the public list and control messages. */
#ifndef CLIENT_PROP_MSG_H
#define CLIENT_PROP_MSG_H

#include <stddef.h>
#include <daos_prop.h>

#include "proto/mgmt.pb-c.h"

/* Messages of the entries that have a value; freed with prop_msgs_free(). */
int prop_to_msgs(const daos_prop_t *prop, Mgmt__Prop ***ret_msgs, size_t *ret_nr);
void prop_msgs_free(Mgmt__Prop **msgs, size_t nr);

/*
 * Fill prop from messages. Entries of type 0 are taken for "any": when the first is one, all are,
 * and they get the messages in order. An entry that no message is for is marked as not set.
 */
int prop_from_msgs(daos_prop_t *prop, Mgmt__Prop *const *msgs, size_t nr);

/* Number of type, or dflt when it is not among the messages. */
uint64_t prop_msg_num(Mgmt__Prop *const *msgs, size_t nr, uint32_t type, uint64_t dflt);

#endif
