/*
 * Faults of the simulated network (net/fabric/fabric_sim.c). Endpoints live on numbered nodes;
 * everything that happens between them is decided by the simulation's seed.
 *
 * What is modelled: a connection between two endpoints takes a round trip to come up; messages are
 * delayed, and keep their order unless told otherwise; transfers are never lost but wait while a
 * link is down, as TCP does; a killed process breaks its connections and refuses new ones, a
 * vanished machine is silent.
 * A transfer touches the target's memory at one moment, and only if the registration is open then.
 */
#ifndef NET_FABRIC_SIM_H
#define NET_FABRIC_SIM_H

#include <stdbool.h>
#include <stdint.h>

#include "net/rpc/rpc.h"

#define SIM_NODE_ANY UINT32_MAX

/* One direction between two nodes. */
struct sim_link {
	uint64_t delay_min_ns;
	uint64_t delay_max_ns;
	uint64_t bytes_per_us; /* 0 = infinitely fast */
	double loss;           /* chance that a message vanishes */
	double dup;            /* … arrives twice */
	double reorder;        /* … may be overtaken by later ones */
	uint64_t reorder_ns;   /* and is late by at most this */
	bool cut;              /* nothing passes */
};
extern const struct sim_link sim_link_default;

/* Set one direction; SIM_NODE_ANY as both ends sets the default of all links not set by themselves.
 */
int sim_net_set_link(struct sim_net *sn, uint32_t from, uint32_t to, const struct sim_link *link);
/* Cut or mend one direction, leaving the rest of the link as it is. */
int sim_net_cut(struct sim_net *sn, uint32_t from, uint32_t to, bool cut);
/* Mend every link. Loss, delays and so on stay. */
void sim_net_heal(struct sim_net *sn);

/*
 * Node down: every endpoint open on it is dead for good; what it waits for fails, what it sends
 * vanishes, nothing reaches it. silent: others get no answer at all instead of a refusal. After up,
 * newly opened endpoints work.
 */
void sim_net_node_down(struct sim_net *sn, uint32_t node, bool silent);
void sim_net_node_up(struct sim_net *sn, uint32_t node);

struct sim_net_stats {
	uint64_t sent_nr;
	uint64_t delivered_nr;
	uint64_t lost_nr;
	uint64_t dup_nr;
	uint64_t rma_nr;
	uint64_t rma_refused_nr; /* wrong key, bounds or access, or registration closed */
};
void sim_net_stats(const struct sim_net *sn, struct sim_net_stats *ret_stats);

#endif
