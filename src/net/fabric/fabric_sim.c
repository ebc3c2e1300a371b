/*
 * The simulated network, see fabric/sim.h.
 *
 * Whatever is under way between two endpoints is a "flight": a message, or a transfer. A flight is
 * a simulation event at its time of arrival. Arriving, a message joins the receiver's queue, which
 * its event source hands on; a transfer copies its bytes and joins the initiator's queue of ended
 * operations. Endpoints are named by a serial number in everything that may outlive them.
 *
 * Choices are drawn in program order from the simulation's stream, so equal seeds give equal runs.
 */
#define LOG_FACILITY "net"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <daos_errno.h>

#include "base/hash.h"
#include "base/htable.h"
#include "base/iov.h"
#include "base/mem.h"
#include "net/fabric/fabric.h"
#include "net/fabric/sim.h"
#include "runtime/sim.h"

#define RMA_RETRY_NS 50000000ull /* a transfer that met a cut link or a loss tries again */

const struct sim_link sim_link_default = {
    .delay_min_ns = 5000,
    .delay_max_ns = 30000,
    .bytes_per_us = 5000,
};

struct link_node {
	struct hnode node;
	uint32_t from;
	uint32_t to;
	struct sim_link link;
};

enum node_state {
	NODE_UP,
	NODE_DOWN,
	NODE_SILENT,
};
struct down_node {
	struct hnode node;
	uint32_t id;
	enum node_state state;
};

struct sim_net {
	struct sim *sim;
	struct sim_link link; /* of links not set by themselves */
	struct htable links;
	struct htable downs;
	struct list eps;
	struct list flights;
	uint64_t next_serial;
	uint32_t ref;
	struct sim_net_stats stats;
};

struct sim_fab_net {
	struct net net;
	struct sim_net *sn;
	uint32_t node;
};

struct sim_ep {
	struct fab_ep base;
	struct sim_net *sn;
	struct list link;
	uint64_t serial;
	uint32_t node;
	uint32_t port;
	bool dead;
	bool ready_due; /* something refused may now be accepted */
	struct xs_source src;
	struct list rxq;  /* struct fab_rx */
	struct list done; /* struct op_end */
	struct list held; /* fab_rx the owner keeps */
	struct list peers;
	struct list lost; /* peers whose connection broke, to be reported */
	struct htable mrs;
};

/* A received message. */
struct fab_rx {
	struct list link;
	uint32_t ref;
	uint32_t len;
	uint8_t bytes[];
};

enum conn_state {
	CONN_NONE,
	CONN_COMING,
	CONN_UP,
};
struct fab_peer {
	struct list link;
	struct list lost_link; /* ep->lost */
	void *arg;
	struct sim_ep *ep;
	uint32_t node;
	uint32_t port;
	enum conn_state conn;
	uint64_t conn_serial; /* the endpoint the connection leads to */
	uint64_t last_ns;     /* arrival of the latest flight: order is kept */
	struct sim_event up;
};

struct sim_mr {
	struct fab_mr mr;
	struct hnode node;
	uint8_t *buf;
	size_t len;
	uint32_t access;
};

struct flight {
	struct list link;
	struct sim_event event;
	struct sim_net *sn;
	uint64_t from; /* serials */
	uint64_t to;
	uint32_t from_node;
	uint32_t to_node;
	struct fab_rx *rx;   /* a message, or */
	struct fab_rma *rma; /* a transfer */
};

/* An operation that has ended, to be reported from the loop: lives in the operation's priv. */
struct op_end {
	struct list link;
	struct fab_tx *tx;
	struct fab_rma *rma;
	int rc;
};
static_assert(sizeof(struct op_end) <= FAB_PRIV_WORDS * sizeof(uint64_t), "op_end fits");

/* --- nodes and links -------------------------------------------------------------------------- */

static uint64_t
link_hash(uint32_t from, uint32_t to)
{
	return hash_u64((uint64_t)from << 32 | to);
}

static struct link_node *
link_find(const struct sim_net *sn, uint32_t from, uint32_t to)
{
	struct link_node *ln;
	struct hnode *n;

	for (n = htable_first(&sn->links, link_hash(from, to)); n != NULL; n = htable_next(n)) {
		ln = container_of(n, struct link_node, node);
		if (ln->from == from && ln->to == to)
			return ln;
	}
	return NULL;
}

static const struct sim_link *
link_of(const struct sim_net *sn, uint32_t from, uint32_t to)
{
	const struct link_node *ln = link_find(sn, from, to);

	return ln != NULL ? &ln->link : &sn->link;
}

int
sim_net_set_link(struct sim_net *sn, uint32_t from, uint32_t to, const struct sim_link *link)
{
	struct link_node *ln;

	if (from == SIM_NODE_ANY && to == SIM_NODE_ANY) {
		sn->link = *link;
		return 0;
	}
	ln = link_find(sn, from, to);
	if (ln == NULL) {
		ln = mem_new(struct link_node);
		if (ln == NULL)
			return -DER_NOMEM;
		ln->from = from;
		ln->to = to;
		htable_insert(&sn->links, &ln->node, link_hash(from, to));
	}
	ln->link = *link;
	return 0;
}

int
sim_net_cut(struct sim_net *sn, uint32_t from, uint32_t to, bool cut)
{
	struct sim_link link = *link_of(sn, from, to);

	link.cut = cut;
	return sim_net_set_link(sn, from, to, &link);
}

static int
link_mend(struct hnode *n, void *arg)
{
	container_of(n, struct link_node, node)->link.cut = false;
	return 0;
}

void
sim_net_heal(struct sim_net *sn)
{
	sn->link.cut = false;
	(void)htable_walk(&sn->links, link_mend, NULL);
}

static struct down_node *
node_find(const struct sim_net *sn, uint32_t id)
{
	struct down_node *dn;
	struct hnode *n;

	for (n = htable_first(&sn->downs, hash_u64(id)); n != NULL; n = htable_next(n)) {
		dn = container_of(n, struct down_node, node);
		if (dn->id == id)
			return dn;
	}
	return NULL;
}

static enum node_state
node_state(const struct sim_net *sn, uint32_t id)
{
	const struct down_node *dn = node_find(sn, id);

	return dn != NULL ? dn->state : NODE_UP;
}

static struct sim_ep *
ep_by_serial(const struct sim_net *sn, uint64_t serial)
{
	struct sim_ep *ep;
	struct list *pos;

	list_for_each (pos, &sn->eps) {
		ep = list_entry(pos, struct sim_ep, link);
		if (ep->serial == serial)
			return ep->dead ? NULL : ep;
	}
	return NULL;
}

static struct sim_ep *
ep_by_addr(const struct sim_net *sn, uint32_t node, uint32_t port)
{
	struct sim_ep *ep;
	struct list *pos;

	list_for_each (pos, &sn->eps) {
		ep = list_entry(pos, struct sim_ep, link);
		if (ep->node == node && ep->port == port && !ep->dead)
			return ep;
	}
	return NULL;
}

/* --- flights ---------------------------------------------------------------------------------- */

static void
op_end(struct sim_ep *ep, struct fab_tx *tx, struct fab_rma *rma, int rc)
{
	struct op_end *e = (struct op_end *)(tx != NULL ? tx->priv : rma->priv);

	*e = (struct op_end){.tx = tx, .rma = rma, .rc = rc};
	list_push_back(&ep->done, &e->link);
}

/* End a flight early. */
static void
flight_drop(struct flight *f)
{
	struct sim_ep *from = ep_by_serial(f->sn, f->from);

	sim_event_cancel(f->sn->sim, &f->event);
	list_del(&f->link);
	if (f->rma != NULL && from != NULL)
		op_end(from, NULL, f->rma, -DER_UNREACH);
	free(f->rx);
	free(f);
}

static void
message_arrive(struct flight *f, struct sim_ep *to)
{
	if (to == NULL || link_of(f->sn, f->from_node, f->to_node)->cut) {
		f->sn->stats.lost_nr++;
		free(f->rx);
	} else {
		f->sn->stats.delivered_nr++;
		list_push_back(&to->rxq, &f->rx->link);
	}
	list_del(&f->link);
	free(f);
}

static struct sim_mr *
mr_find(const struct sim_ep *ep, uint64_t key)
{
	struct sim_mr *mr;
	struct hnode *n;

	for (n = htable_first(&ep->mrs, hash_u64(key)); n != NULL; n = htable_next(n)) {
		mr = container_of(n, struct sim_mr, node);
		if (mr->mr.key == key)
			return mr;
	}
	return NULL;
}

static int
rma_copy(const struct sim_ep *to, const struct fab_rma *op)
{
	uint64_t len = iov_total(op->iov, (int)op->iov_nr);
	const struct sim_mr *mr = mr_find(to, op->key);
	uint32_t need = op->put ? FAB_REMOTE_WRITE : FAB_REMOTE_READ;

	if (mr == NULL || (mr->access & need) == 0 || op->addr > mr->len ||
	    len > mr->len - op->addr)
		return -DER_UNREACH; /* as a connection broken by the other side */
	if (op->put)
		iov_to_buf(op->iov, (int)op->iov_nr, 0, mr->buf + op->addr, len);
	else
		iov_from_buf(op->iov, (int)op->iov_nr, 0, mr->buf + op->addr, len);
	return 0;
}

static void
rma_arrive(struct flight *f, struct sim_ep *to)
{
	const struct sim_link *there = link_of(f->sn, f->from_node, f->to_node);
	const struct sim_link *back = link_of(f->sn, f->to_node, f->from_node);
	struct sim_net *sn = f->sn;
	struct sim_ep *from;
	int rc;

	if (there->cut || back->cut || sim_chance(sn->sim, there->loss)) {
		sim_event_at(sn->sim, &f->event, sim_now_ns(sn->sim) + RMA_RETRY_NS);
		return;
	}
	from = ep_by_serial(sn, f->from);
	if (from != NULL) {
		rc = to != NULL ? rma_copy(to, f->rma) : -DER_UNREACH;
		if (rc == 0)
			sn->stats.rma_nr++;
		else
			sn->stats.rma_refused_nr++;
		op_end(from, NULL, f->rma, rc);
	}
	list_del(&f->link);
	free(f);
}

static void
flight_arrive(struct sim_event *ev)
{
	struct flight *f = ev->arg;
	struct sim_ep *to = ep_by_serial(f->sn, f->to);

	if (f->rma != NULL)
		rma_arrive(f, to);
	else
		message_arrive(f, to);
}

static struct flight *
flight_start(struct fab_peer *peer, uint32_t len, struct fab_rx *rx, struct fab_rma *rma)
{
	struct sim_net *sn = peer->ep->sn;
	const struct sim_link *link = link_of(sn, peer->ep->node, peer->node);
	struct flight *f = mem_new(struct flight);
	uint64_t at;

	if (f == NULL)
		return NULL;
	f->sn = sn;
	f->from = peer->ep->serial;
	f->to = peer->conn_serial;
	f->from_node = peer->ep->node;
	f->to_node = peer->node;
	f->rx = rx;
	f->rma = rma;
	f->event.fn = flight_arrive;
	f->event.arg = f;
	at = sim_now_ns(sn->sim) + link->delay_min_ns +
	     sim_rand_below(sn->sim, link->delay_max_ns - link->delay_min_ns + 1);
	if (link->bytes_per_us != 0)
		at += len * 1000ull / link->bytes_per_us;
	if (link->reorder > 0 && sim_chance(sn->sim, link->reorder)) {
		at += sim_rand_below(sn->sim, link->reorder_ns + 1);
	} else {
		if (at < peer->last_ns)
			at = peer->last_ns;
		peer->last_ns = at;
	}
	list_push_back(&sn->flights, &f->link);
	sim_event_at(sn->sim, &f->event, at);
	return f;
}

/* --- connections ------------------------------------------------------------------------------ */

static bool
path_open(const struct fab_peer *peer)
{
	const struct sim_net *sn = peer->ep->sn;

	return !link_of(sn, peer->ep->node, peer->node)->cut &&
	       !link_of(sn, peer->node, peer->ep->node)->cut;
}

static void
conn_up(struct sim_event *ev)
{
	struct fab_peer *peer = ev->arg;
	struct sim_ep *to = ep_by_addr(peer->ep->sn, peer->node, peer->port);

	peer->conn = CONN_NONE;
	if (to != NULL && path_open(peer)) {
		peer->conn = CONN_UP;
		peer->conn_serial = to->serial;
	}
	peer->ep->ready_due = true;
}

/* Whether something may be sent: 0, -DER_AGAIN, or -DER_UNREACH when this side is dead. */
static int
conn_check(struct sim_ep *ep, struct fab_peer *peer)
{
	struct sim *sim = ep->sn->sim;

	if (ep->dead)
		return -DER_UNREACH;
	if (peer->conn == CONN_UP)
		return 0;
	if (peer->conn == CONN_NONE) {
		peer->conn = CONN_COMING;
		sim_event_at(sim, &peer->up, sim_now_ns(sim) + 20000 + sim_rand_below(sim, 100000));
	}
	return -DER_AGAIN;
}

/* The first thing sent over a connection whose other end is gone is lost; the next makes a new one.
 */
static void
conn_use(struct fab_peer *peer)
{
	if (ep_by_serial(peer->ep->sn, peer->conn_serial) == NULL)
		peer->conn = CONN_NONE;
}

static int
sim_peer_open(struct fab_ep *fep, const char *uri, void *peer_arg, struct fab_peer **ret_peer)
{
	struct sim_ep *ep = container_of(fep, struct sim_ep, base);
	struct fab_peer *peer;
	unsigned int node, port;
	char rest;

	if (sscanf(uri, "ofi+sim://%u:%u%c", &node, &port, &rest) != 2 || port == 0)
		return -DER_INVAL;
	peer = mem_new(struct fab_peer);
	if (peer == NULL)
		return -DER_NOMEM;
	list_init(&peer->lost_link);
	peer->arg = peer_arg;
	peer->ep = ep;
	peer->node = node;
	peer->port = port;
	peer->up.fn = conn_up;
	peer->up.arg = peer;
	list_push_back(&ep->peers, &peer->link);
	*ret_peer = peer;
	return 0;
}

static void
sim_peer_close(struct fab_ep *fep, struct fab_peer *peer)
{
	struct sim_ep *ep = container_of(fep, struct sim_ep, base);

	sim_event_cancel(ep->sn->sim, &peer->up);
	list_del(&peer->lost_link);
	list_del(&peer->link);
	free(peer);
}

static int
sim_peer_probe(struct fab_ep *fep, struct fab_peer *peer)
{
	struct sim_ep *ep = container_of(fep, struct sim_ep, base);

	if (ep->dead)
		return -DER_UNREACH;
	if (!path_open(peer) || node_state(ep->sn, peer->node) == NODE_SILENT)
		return 0;
	return ep_by_addr(ep->sn, peer->node, peer->port) != NULL ? 0 : -DER_UNREACH;
}

/* The connection this side had with that endpoint is gone, and this side can see it. */
static void
conn_lost(struct sim_ep *ep, uint64_t serial)
{
	struct fab_peer *peer;
	struct list *pos;

	list_for_each (pos, &ep->peers) {
		peer = list_entry(pos, struct fab_peer, link);
		if (peer->conn != CONN_UP || peer->conn_serial != serial || !path_open(peer))
			continue;
		peer->conn = CONN_NONE;
		if (list_empty(&peer->lost_link))
			list_push_back(&ep->lost, &peer->lost_link);
	}
}

static bool
flight_between(const struct flight *f, uint64_t a, uint64_t b)
{
	return (f->from == a && f->to == b) || (f->from == b && f->to == a);
}

static int
sim_peer_reset(struct fab_ep *fep, struct fab_peer *peer)
{
	struct sim_ep *ep = container_of(fep, struct sim_ep, base);
	struct sim_ep *other = ep_by_addr(ep->sn, peer->node, peer->port);
	struct list *pos, *tmp;
	struct flight *f;

	list_for_each_safe (pos, tmp, &ep->sn->flights) {
		f = list_entry(pos, struct flight, link);
		if (flight_between(f, ep->serial, peer->conn_serial) ||
		    (other != NULL && flight_between(f, ep->serial, other->serial)))
			flight_drop(f);
	}
	peer->conn = CONN_NONE;
	if (other != NULL)
		conn_lost(other, ep->serial);
	return 0;
}

/* --- messages --------------------------------------------------------------------------------- */

static struct fab_tx *
sim_tx_alloc(struct fab_ep *fep, uint32_t cap)
{
	struct fab_tx *tx = mem_alloc(sizeof(*tx) + cap);

	if (tx == NULL)
		return NULL;
	memset(tx, 0, sizeof(*tx));
	list_init(&tx->link);
	tx->buf = (uint8_t *)(tx + 1);
	tx->cap = cap;
	return tx;
}

static void
sim_tx_free(struct fab_ep *fep, struct fab_tx *tx)
{
	free(tx);
}

static int
message_start(struct fab_peer *peer, const struct fab_tx *tx)
{
	struct fab_rx *rx = mem_alloc(sizeof(*rx) + tx->len);

	if (rx == NULL)
		return -DER_NOMEM;
	list_init(&rx->link);
	rx->ref = 0;
	rx->len = tx->len;
	memcpy(rx->bytes, tx->buf, tx->len);
	if (flight_start(peer, tx->len, rx, NULL) == NULL) {
		free(rx);
		return -DER_NOMEM;
	}
	return 0;
}

static int
sim_send(struct fab_ep *fep, struct fab_peer *peer, struct fab_tx *tx)
{
	struct sim_ep *ep = container_of(fep, struct sim_ep, base);
	const struct sim_link *link = link_of(ep->sn, ep->node, peer->node);
	int rc = conn_check(ep, peer);

	if (rc != 0)
		return rc;
	ep->sn->stats.sent_nr++;
	if (link->loss > 0 && sim_chance(ep->sn->sim, link->loss)) {
		ep->sn->stats.lost_nr++;
	} else {
		rc = message_start(peer, tx);
		if (rc == 0 && link->dup > 0 && sim_chance(ep->sn->sim, link->dup)) {
			ep->sn->stats.dup_nr++;
			(void)message_start(peer, tx);
		}
	}
	if (rc != 0)
		return rc;
	conn_use(peer);
	op_end(ep, tx, NULL, 0);
	return 0;
}

static void
sim_rx_hold(struct fab_ep *fep, struct fab_rx *rx)
{
	rx->ref++;
}

static void
sim_rx_put(struct fab_ep *fep, struct fab_rx *rx)
{
	if (--rx->ref > 0)
		return;
	list_del(&rx->link);
	free(rx);
}

/* --- memory ----------------------------------------------------------------------------------- */

static int
sim_mr_open(struct fab_ep *fep, void *buf, size_t len, uint32_t access, struct fab_mr **ret_mr)
{
	struct sim_ep *ep = container_of(fep, struct sim_ep, base);
	struct sim_mr *mr = mem_new(struct sim_mr);

	if (mr == NULL)
		return -DER_NOMEM;
	mr->mr.key = env_rand_u64(xs_env(fep->xs));
	mr->buf = buf;
	mr->len = len;
	mr->access = access;
	htable_insert(&ep->mrs, &mr->node, hash_u64(mr->mr.key));
	*ret_mr = &mr->mr;
	return 0;
}

static void
sim_mr_close(struct fab_ep *fep, struct fab_mr *fmr)
{
	struct sim_ep *ep = container_of(fep, struct sim_ep, base);
	struct sim_mr *mr = container_of(fmr, struct sim_mr, mr);

	htable_remove(&ep->mrs, &mr->node);
	free(mr);
}

static int
sim_rma(struct fab_ep *fep, struct fab_peer *peer, struct fab_rma *op)
{
	struct sim_ep *ep = container_of(fep, struct sim_ep, base);
	uint64_t len = iov_total(op->iov, (int)op->iov_nr);
	int rc = conn_check(ep, peer);

	if (rc != 0)
		return rc;
	if (flight_start(peer, (uint32_t)len, NULL, op) == NULL)
		return -DER_NOMEM;
	conn_use(peer);
	return 0;
}

static int
sim_rma_cancel(struct fab_ep *fep, struct fab_rma *op)
{
	struct sim_ep *ep = container_of(fep, struct sim_ep, base);
	struct list *pos, *tmp;
	struct op_end *e;
	struct flight *f;

	if (!fep->revokes)
		return -DER_NOSYS;
	list_for_each_safe (pos, tmp, &ep->done) {
		e = list_entry(pos, struct op_end, link);
		if (e->rma == op)
			list_del(&e->link);
	}
	list_for_each_safe (pos, tmp, &ep->sn->flights) {
		f = list_entry(pos, struct flight, link);
		if (f->rma != op)
			continue;
		sim_event_cancel(ep->sn->sim, &f->event);
		list_del(&f->link);
		free(f);
	}
	return 0;
}

/* --- the loop's side -------------------------------------------------------------------------- */

static uint32_t
sim_poll(struct xs_source *src)
{
	struct sim_ep *ep = src->arg;
	struct op_end *e, end;
	struct fab_peer *peer;
	struct fab_rx *rx;
	uint32_t nr = 0;

	while ((e = list_first(&ep->done, struct op_end, link)) != NULL) {
		list_del(&e->link);
		end = *e; /* done() may free or reuse the operation */
		nr++;
		if (end.tx != NULL)
			end.tx->done(end.tx, end.rc);
		else
			end.rma->done(end.rma, end.rc);
	}
	while ((rx = list_first(&ep->rxq, struct fab_rx, link)) != NULL) {
		list_del(&rx->link);
		nr++;
		rx->ref = 1;
		list_push_back(&ep->held, &rx->link);
		if (!ep->dead)
			ep->base.events->recv(ep->base.arg, rx, rx->bytes, rx->len);
		sim_rx_put(&ep->base, rx);
	}
	while ((peer = list_first(&ep->lost, struct fab_peer, lost_link)) != NULL) {
		list_del(&peer->lost_link);
		nr++;
		ep->base.events->lost(ep->base.arg, peer->arg);
	}
	if (ep->ready_due) {
		ep->ready_due = false;
		nr++;
		ep->base.events->ready(ep->base.arg);
	}
	return nr;
}

static bool
sim_prepare_sleep(struct xs_source *src)
{
	struct sim_ep *ep = src->arg;

	return list_empty(&ep->done) && list_empty(&ep->rxq) && list_empty(&ep->lost) &&
	       !ep->ready_due;
}

/* Everything this endpoint takes part in ends. Its peers notice, unless its machine vanished. */
static void
ep_die(struct sim_ep *ep, bool silent)
{
	struct list *pos, *tmp;
	struct sim_ep *other;
	struct flight *f;

	list_for_each (pos, &ep->sn->eps) {
		other = list_entry(pos, struct sim_ep, link);
		if (!silent && !other->dead && other != ep)
			conn_lost(other, ep->serial);
	}
	list_for_each_safe (pos, tmp, &ep->sn->flights) {
		f = list_entry(pos, struct flight, link);
		/* What it sent is already on its way and may arrive after its death. */
		if (f->to == ep->serial || (f->from == ep->serial && f->rma != NULL))
			flight_drop(f);
	}
	ep->dead = true;
}

static void
list_free_rx(struct list *head)
{
	struct fab_rx *rx;

	while ((rx = list_first(head, struct fab_rx, link)) != NULL) {
		list_del(&rx->link);
		free(rx);
	}
}

static void sim_net_put(struct sim_net *sn);

static void
sim_ep_close(struct fab_ep *fep)
{
	struct sim_ep *ep = container_of(fep, struct sim_ep, base);
	struct op_end *e;

	xs_source_del(fep->xs, &ep->src);
	if (!ep->dead)
		ep_die(ep, false);
	while ((e = list_first(&ep->done, struct op_end, link)) != NULL) {
		list_del(&e->link);
		if (e->tx != NULL)
			free(e->tx);
	}
	list_free_rx(&ep->rxq);
	list_free_rx(&ep->held);
	while (!list_empty(&ep->peers))
		sim_peer_close(fep, list_first(&ep->peers, struct fab_peer, link));
	assert(htable_nr(&ep->mrs) == 0);
	htable_fini(&ep->mrs);
	list_del(&ep->link);
	sim_net_put(ep->sn);
	free(ep);
}

static const struct fab_ops sim_ops = {
    .ep_close = sim_ep_close,
    .peer_open = sim_peer_open,
    .peer_close = sim_peer_close,
    .peer_probe = sim_peer_probe,
    .peer_reset = sim_peer_reset,
    .tx_alloc = sim_tx_alloc,
    .tx_free = sim_tx_free,
    .send = sim_send,
    .rx_hold = sim_rx_hold,
    .rx_put = sim_rx_put,
    .mr_open = sim_mr_open,
    .mr_close = sim_mr_close,
    .rma = sim_rma,
    .rma_cancel = sim_rma_cancel,
};

static int
port_pick(const struct sim_net *sn, uint32_t node, uint16_t want, uint32_t *ret_port)
{
	uint32_t port;

	if (want != 0) {
		*ret_port = want;
		return ep_by_addr(sn, node, want) == NULL ? 0 : -DER_BUSY;
	}
	for (port = 40000; port <= UINT16_MAX; port++) {
		if (ep_by_addr(sn, node, port) == NULL) {
			*ret_port = port;
			return 0;
		}
	}
	return -DER_BUSY;
}

static int
sim_ep_open(struct net *net, const struct fab_ep_conf *conf, struct fab_ep **ret_ep)
{
	struct sim_fab_net *fn = container_of(net, struct sim_fab_net, net);
	struct sim_net *sn = fn->sn;
	struct sim_ep *ep;
	uint32_t port;
	int rc;

	if (node_state(sn, fn->node) != NODE_UP)
		return -DER_UNREACH;
	rc = port_pick(sn, fn->node, conf->port, &port);
	if (rc != 0)
		return rc;
	ep = mem_new(struct sim_ep);
	if (ep == NULL)
		return -DER_NOMEM;
	ep->base.ops = &sim_ops;
	ep->base.xs = conf->xs;
	ep->base.events = conf->events;
	ep->base.arg = conf->arg;
	snprintf(ep->base.uri, sizeof(ep->base.uri), "ofi+sim://%u:%u", fn->node, port);
	ep->sn = sn;
	ep->serial = ++sn->next_serial;
	ep->node = fn->node;
	ep->port = port;
	list_init(&ep->rxq);
	list_init(&ep->done);
	list_init(&ep->held);
	list_init(&ep->peers);
	list_init(&ep->lost);
	htable_init(&ep->mrs);
	/* Closing a registration always ends its transfers here; that it is not always said keeps
	 * both ways of the RPC layer in use. */
	ep->base.revokes = sim_rand_below(sn->sim, 2) == 0;
	ep->src.fd = -1;
	ep->src.poll = sim_poll;
	ep->src.prepare_sleep = sim_prepare_sleep;
	ep->src.arg = ep;
	rc = xs_source_add(conf->xs, &ep->src);
	if (rc != 0) {
		htable_fini(&ep->mrs);
		free(ep);
		return rc;
	}
	list_push_back(&sn->eps, &ep->link);
	sn->ref++;
	*ret_ep = &ep->base;
	return 0;
}

/* --- the network ------------------------------------------------------------------------------ */

void
sim_net_node_down(struct sim_net *sn, uint32_t node, bool silent)
{
	struct down_node *dn = node_find(sn, node);
	struct sim_ep *ep;
	struct list *pos;

	if (dn == NULL) {
		dn = mem_new(struct down_node);
		if (dn == NULL)
			abort(); /* a test program out of memory */
		dn->id = node;
		htable_insert(&sn->downs, &dn->node, hash_u64(node));
	}
	dn->state = silent ? NODE_SILENT : NODE_DOWN;
	list_for_each (pos, &sn->eps) {
		ep = list_entry(pos, struct sim_ep, link);
		if (ep->node == node && !ep->dead)
			ep_die(ep, silent);
	}
}

void
sim_net_node_up(struct sim_net *sn, uint32_t node)
{
	struct down_node *dn = node_find(sn, node);

	if (dn != NULL)
		dn->state = NODE_UP;
}

void
sim_net_stats(const struct sim_net *sn, struct sim_net_stats *ret_stats)
{
	*ret_stats = sn->stats;
}

int
sim_net_create(struct sim *sim, struct sim_net **ret_sn)
{
	struct sim_net *sn = mem_new(struct sim_net);

	if (sn == NULL)
		return -DER_NOMEM;
	sn->sim = sim;
	sn->link = sim_link_default;
	sn->ref = 1;
	htable_init(&sn->links);
	htable_init(&sn->downs);
	list_init(&sn->eps);
	list_init(&sn->flights);
	*ret_sn = sn;
	return 0;
}

static int
link_free(struct hnode *n, void *arg)
{
	htable_remove(arg, n);
	free(container_of(n, struct link_node, node));
	return 0;
}

static int
down_free(struct hnode *n, void *arg)
{
	htable_remove(arg, n);
	free(container_of(n, struct down_node, node));
	return 0;
}

static void
sim_net_put(struct sim_net *sn)
{
	struct flight *f;

	if (--sn->ref > 0)
		return;
	while ((f = list_first(&sn->flights, struct flight, link)) != NULL)
		flight_drop(f);
	(void)htable_walk(&sn->links, link_free, &sn->links);
	(void)htable_walk(&sn->downs, down_free, &sn->downs);
	htable_fini(&sn->links);
	htable_fini(&sn->downs);
	free(sn);
}

/* Endpoints must be closed, or be closed before the simulation is destroyed. */
void
sim_net_destroy(struct sim_net *sn)
{
	if (sn != NULL)
		sim_net_put(sn);
}

static void
sim_fab_net_close(struct net *net)
{
	struct sim_fab_net *fn = container_of(net, struct sim_fab_net, net);

	sim_net_put(fn->sn);
	free(fn);
}

static const struct net_ops sim_net_ops = {
    .close = sim_fab_net_close,
    .ep_open = sim_ep_open,
};

int
net_open_sim(struct sim_net *sn, uint32_t node, struct net **ret_net)
{
	struct sim_fab_net *fn = mem_new(struct sim_fab_net);

	if (fn == NULL)
		return -DER_NOMEM;
	fn->net.ops = &sim_net_ops;
	snprintf(fn->net.provider, sizeof(fn->net.provider), "sim");
	fn->sn = sn;
	fn->node = node;
	sn->ref++;
	*ret_net = &fn->net;
	return 0;
}
