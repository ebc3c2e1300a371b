/*
 * The client: where the system is, the handles, the contexts.
 *
 * Attaching is lazy. daos_init() makes a client and touches nothing outside the process; the first
 * call that needs the system asks the agent for the addresses of the management service and the
 * network provider, and opens the network.
 *
 * Each thread remembers the context of its blocking calls. It belongs to the client, the thread
 * keeps only its address together with the client's serial number, so a client may be destroyed
 * while other threads still remember contexts of it: they notice by the number. When a thread ends
 * its context goes to the client's idle list for the next one.
 */
#define LOG_FACILITY "client"

#include <assert.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/core/client.h"
#include "client/core/client_internal.h"
#include "client/core/agent.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "runtime/fork_gen.h"

enum { CLIENT_URI_MAX = MS_URI_MAX };

struct client {
	struct env *env;
	struct env real_env; /* used unless the creator gave one */
	uint64_t serial;     /* unlike every other client's of this process */
	struct list live_link;
	uint64_t op_timeout_ns;
	struct handle_tbl *handles;
	_Atomic uint64_t hlc;

	pthread_mutex_t lock; /* all below */
	_Atomic bool attached;
	bool is_static; /* was given the addresses, asks no agent */
	char *system;   /* NULL = any */
	char *user, *group;
	Mgmt__AttachInfoRep *info;
	uint32_t uri_nr;
	char *uris[CLIENT_URI_MAX];
	struct net *net;
	bool net_owned;
	uint32_t net_fork_gen;
	struct list ctxs; /* all */
	uint32_t idle_nr;
	uint32_t idle_max;
	struct ctx **idle;  /* contexts that no thread remembers */
	struct ctx *shared; /* of events without a queue */
};

/* --- the default client --- */

/* What the public functions, which carry no context, refer to. */
static _Atomic(struct client *) default_client;

struct client *
client_default(void)
{
	return atomic_load_explicit(&default_client, memory_order_acquire);
}

struct client *
client_set_default(struct client *client)
{
	return atomic_exchange(&default_client, client);
}

/* --- creation --- */

/*
 * The clients that live, so that an ending thread can find out whether the one it remembers does.
 * The serial number tells a client from a destroyed one at the same address.
 */
static pthread_mutex_t live_lock = PTHREAD_MUTEX_INITIALIZER;
static struct list live_clients = LIST_INIT(live_clients);
static uint64_t live_serial;

static int
client_learn_locked(struct client *client, const char *uri)
{
	uint32_t i;

	for (i = 0; i < client->uri_nr; i++)
		if (strcmp(client->uris[i], uri) == 0)
			return 0;
	if (client->uri_nr == CLIENT_URI_MAX || uri[0] == '\0')
		return 0;
	client->uris[client->uri_nr] = mem_strdup(uri);
	if (client->uris[client->uri_nr] == NULL)
		return -DER_NOMEM;
	client->uri_nr++;
	return 0;
}

void
client_learn_uris(struct client *client, const char *const *uris, uint32_t nr)
{
	uint32_t i;

	pthread_mutex_lock(&client->lock);
	for (i = 0; i < nr; i++)
		client_learn_locked(client, uris[i]);
	pthread_mutex_unlock(&client->lock);
}

/* No thread is in the middle of a change when the process forks: the child has its locks free and
 * its lists whole. */
static void
fork_prepare(void)
{
	struct list *pos;

	pthread_mutex_lock(&live_lock);
	list_for_each (pos, &live_clients)
		pthread_mutex_lock(&list_entry(pos, struct client, live_link)->lock);
}

static void
fork_over(void)
{
	struct list *pos;

	list_for_each (pos, &live_clients)
		pthread_mutex_unlock(&list_entry(pos, struct client, live_link)->lock);
	pthread_mutex_unlock(&live_lock);
}

static void
fork_watch(void)
{
	pthread_atfork(fork_prepare, fork_over, fork_over);
}

static pthread_once_t fork_once = PTHREAD_ONCE_INIT;

/* A copy of s, which may be NULL. */
static int
dup_opt(const char *s, char **ret_copy)
{
	if (s == NULL)
		return 0;
	*ret_copy = mem_strdup(s);
	return *ret_copy == NULL ? -DER_NOMEM : 0;
}

static int
client_set_static(struct client *client, const struct client_conf *conf)
{
	uint32_t i;
	int rc;

	client->is_static = true;
	rc = dup_opt(conf->system, &client->system);
	if (rc == 0)
		rc = dup_opt(conf->user, &client->user);
	if (rc == 0)
		rc = dup_opt(conf->group, &client->group);
	for (i = 0; rc == 0 && i < conf->ms_uri_nr; i++)
		rc = client_learn_locked(client, conf->ms_uris[i]);
	return rc;
}

int
client_create(const struct client_conf *conf, struct client **ret_client)
{
	struct client *client = mem_new(struct client);
	const char *timeout;
	int rc;

	if (client == NULL)
		return -DER_NOMEM;
	pthread_once(&fork_once, fork_watch);
	pthread_mutex_init(&client->lock, NULL);
	list_init(&client->ctxs);
	client->env = conf->env;
	if (client->env == NULL) {
		env_init_real(&client->real_env);
		client->env = &client->real_env;
	}
	pthread_mutex_lock(&live_lock);
	client->serial = ++live_serial;
	list_push_back(&live_clients, &client->live_link);
	pthread_mutex_unlock(&live_lock);
	client->net = conf->net;
	client->net_fork_gen = fork_gen();
	timeout = getenv("DAOS_OP_TIMEOUT");
	if (timeout != NULL)
		client->op_timeout_ns = strtoull(timeout, NULL, 10) * 1000000000ull;
	rc = handle_tbl_create((uint32_t)env_rand_u64(client->env), &client->handles);
	if (rc == 0 && conf->ms_uri_nr > 0)
		rc = client_set_static(client, conf);
	if (rc != 0) {
		client_destroy(client);
		return rc;
	}
	*ret_client = client;
	return 0;
}

void
client_destroy(struct client *client)
{
	uint32_t i;

	if (client == NULL)
		return;
	pthread_mutex_lock(&live_lock);
	list_del(&client->live_link);
	pthread_mutex_unlock(&live_lock);
	handle_tbl_destroy(client->handles);
	while (!list_empty(&client->ctxs))
		ctx_destroy(list_first(&client->ctxs, struct ctx, link));
	if (client->net_owned && client->net_fork_gen == fork_gen())
		net_close(client->net);
	if (client->info != NULL)
		mgmt__attach_info_rep__free_unpacked(client->info, NULL);
	for (i = 0; i < client->uri_nr; i++)
		free(client->uris[i]);
	free(client->idle);
	free(client->system);
	free(client->user);
	free(client->group);
	pthread_mutex_destroy(&client->lock);
	free(client);
}

struct env *
client_env(const struct client *client)
{
	return client->env;
}

struct handle_tbl *
client_handles(struct client *client)
{
	return client->handles;
}

uint64_t
client_hlc(const struct client *client)
{
	return atomic_load_explicit(&client->hlc, memory_order_relaxed);
}

void
client_hlc_note(struct client *client, uint64_t hlc)
{
	uint64_t old = atomic_load_explicit(&client->hlc, memory_order_relaxed);

	while (hlc > old &&
	       !atomic_compare_exchange_weak_explicit(&client->hlc, &old, hlc, memory_order_relaxed,
						      memory_order_relaxed))
		;
}

uint64_t
client_op_timeout_ns(const struct client *client)
{
	return client->op_timeout_ns;
}

/* --- attaching --- */

static int
client_take_info_locked(struct client *client, Mgmt__AttachInfoRep *info)
{
	size_t i, j;
	int rc = 0;

	/* The replicas first, then everybody: any rank can say where the replicas are. */
	for (i = 0; rc == 0 && i < info->n_ranks; i++)
		for (j = 0; rc == 0 && j < info->n_replica_ranks; j++)
			if (info->ranks[i]->rank == info->replica_ranks[j])
				rc = client_learn_locked(client, info->ranks[i]->uri);
	for (i = 0; rc == 0 && i < info->n_ranks; i++)
		rc = client_learn_locked(client, info->ranks[i]->uri);
	if (rc == 0 && client->uri_nr == 0) {
		log_err("the agent knows no rank of system %s", info->system);
		rc = -DER_NO_SERVICE;
	}
	if (rc == 0 && client->system == NULL) {
		client->system = mem_strdup(info->system);
		if (client->system == NULL)
			rc = -DER_NOMEM;
	}
	if (rc == 0) {
		if (client->info != NULL)
			mgmt__attach_info_rep__free_unpacked(client->info, NULL);
		client->info = info;
	}
	return rc;
}

static int
client_open_net_locked(struct client *client)
{
	struct net_conf conf = {.interface = getenv("D_INTERFACE")};
	int rc;

	if (client->net != NULL && (!client->net_owned || client->net_fork_gen == fork_gen()))
		return 0;
	if (conf.interface == NULL)
		conf.interface = getenv("OFI_INTERFACE");
	conf.provider = getenv("D_PROVIDER");
	if (conf.provider == NULL && client->info != NULL && client->info->provider[0] != '\0')
		conf.provider = client->info->provider;
	rc = net_open_fabric(&conf, &client->net);
	if (rc != 0) {
		client->net = NULL;
		log_err("cannot open the network (provider %s, interface %s): " ERR_F,
			conf.provider == NULL ? "default" : conf.provider,
			conf.interface == NULL ? "default" : conf.interface, ERR_P(rc));
		return rc;
	}
	client->net_owned = true;
	client->net_fork_gen = fork_gen();
	return 0;
}

static int
client_attach_locked(struct client *client, const char *system)
{
	int rc = 0;

	if (!client->is_static && client->info == NULL) {
		Mgmt__AttachInfoRep *info = NULL;

		rc = agent_attach_info(system, &info);
		if (rc == 0)
			rc = client_take_info_locked(client, info);
		if (rc != 0 && info != NULL)
			mgmt__attach_info_rep__free_unpacked(info, NULL);
	}
	if (rc == 0)
		rc = client_open_net_locked(client);
	return rc;
}

int
client_attach(struct client *client, const char *system)
{
	int rc = 0;

	if (!atomic_load_explicit(&client->attached, memory_order_acquire) ||
	    client->net_fork_gen != fork_gen()) {
		pthread_mutex_lock(&client->lock);
		rc = client_attach_locked(client, system);
		if (rc == 0)
			atomic_store_explicit(&client->attached, true, memory_order_release);
		pthread_mutex_unlock(&client->lock);
		if (rc != 0)
			return rc;
	}
	if (system != NULL && system[0] != '\0' && client->system != NULL &&
	    strcmp(system, client->system) != 0) {
		log_err("system %s is unknown here: this client is attached to %s", system,
			client->system);
		return -DER_NONEXIST;
	}
	return 0;
}

const Mgmt__AttachInfoRep *
client_attach_info(const struct client *client)
{
	return client->info;
}

/* "name@" of an id, the number when it has no name. */
static char *
principal_of(const char *name, unsigned int id)
{
	return name != NULL ? mem_printf("%s@", name) : mem_printf("%u@", id);
}

static int
client_own_credential(struct client *client, Mgmt__Credential **ret_cred)
{
	Mgmt__Credential *cred = mem_new(Mgmt__Credential);
	struct passwd pw, *pwp = NULL;
	struct group gr, *grp = NULL;
	char pbuf[4096], gbuf[4096], host[256] = "";

	if (cred == NULL)
		return -DER_NOMEM;
	mgmt__credential__init(cred);
	cred->uid = geteuid();
	cred->gid = getegid();
	getpwuid_r(cred->uid, &pw, pbuf, sizeof(pbuf), &pwp);
	getgrgid_r(cred->gid, &gr, gbuf, sizeof(gbuf), &grp);
	gethostname(host, sizeof(host) - 1);
	cred->user = client->user != NULL
			 ? mem_strdup(client->user)
			 : principal_of(pwp != NULL ? pw.pw_name : NULL, cred->uid);
	cred->group = client->group != NULL
			  ? mem_strdup(client->group)
			  : principal_of(grp != NULL ? gr.gr_name : NULL, cred->gid);
	cred->machine = mem_strdup(host);
	cred->made_s = env_real_ns(client->env) / 1000000000ull;
	if (cred->user == NULL || cred->group == NULL || cred->machine == NULL) {
		mgmt__credential__free_unpacked(cred, NULL);
		return -DER_NOMEM;
	}
	*ret_cred = cred;
	return 0;
}

int
client_credential(struct client *client, Mgmt__Credential **ret_cred)
{
	if (client->is_static)
		return client_own_credential(client, ret_cred);
	return agent_credential(client->system, ret_cred);
}

/* --- for contexts --- */

int
client_net(struct client *client, struct net **ret_net)
{
	int rc;

	pthread_mutex_lock(&client->lock);
	rc = client_open_net_locked(client);
	*ret_net = client->net;
	pthread_mutex_unlock(&client->lock);
	return rc;
}

int
client_make_ms(struct client *client, struct rpc_ep *ep, struct ms_conn **ret_ms)
{
	int rc;

	pthread_mutex_lock(&client->lock);
	rc = client->uri_nr == 0
		 ? -DER_NOTATTACH
		 : ms_conn_create(ep, (const char *const *)client->uris, client->uri_nr, ret_ms);
	pthread_mutex_unlock(&client->lock);
	return rc;
}

void
client_ctx_link(struct client *client, struct ctx *ctx)
{
	pthread_mutex_lock(&client->lock);
	list_push_back(&client->ctxs, &ctx->link);
	pthread_mutex_unlock(&client->lock);
}

void
client_ctx_unlink(struct client *client, struct ctx *ctx)
{
	pthread_mutex_lock(&client->lock);
	list_del(&ctx->link);
	pthread_mutex_unlock(&client->lock);
}

int
client_shared_ctx(struct client *client, struct ctx **ret_ctx)
{
	struct ctx *ctx, *made = NULL;
	int rc;

	pthread_mutex_lock(&client->lock);
	if (client->shared != NULL && client->shared->fork_gen != fork_gen())
		client->shared = NULL; /* stays in ctxs; freed with the client */
	ctx = client->shared;
	pthread_mutex_unlock(&client->lock);
	if (ctx == NULL) {
		rc = ctx_create(client, &made);
		if (rc != 0)
			return rc;
		pthread_mutex_lock(&client->lock);
		if (client->shared == NULL)
			client->shared = steal_ptr(made);
		ctx = client->shared;
		pthread_mutex_unlock(&client->lock);
		if (made != NULL) /* another thread was faster */
			ctx_destroy(made);
	}
	*ret_ctx = ctx;
	return 0;
}

/* --- contexts of threads --- */

struct thread_ctx {
	struct client *client;
	uint64_t serial;
	struct ctx *ctx;
};

/* One is enough but for programs with several clients (tests, the simulator). */
enum { THREAD_CTX_NR = 8 };

static __thread struct thread_ctx thread_ctxs[THREAD_CTX_NR];
static __thread uint32_t thread_ctx_next;
static pthread_key_t thread_key;
static pthread_once_t thread_once = PTHREAD_ONCE_INIT;

/* Give ctx to the next thread that needs one. */
static void
client_ctx_idle(struct client *client, struct ctx *ctx)
{
	pthread_mutex_lock(&client->lock);
	if (client->idle_nr == client->idle_max) {
		uint32_t max = client->idle_max * 2 + 4;
		struct ctx **idle = mem_realloc(client->idle, max, sizeof(*idle));

		if (idle != NULL) {
			client->idle = idle;
			client->idle_max = max;
		}
	}
	if (client->idle_nr < client->idle_max)
		client->idle[client->idle_nr++] = ctx;
	/* else: it stays in ctxs unused and is freed with the client */
	pthread_mutex_unlock(&client->lock);
}

static bool
client_lives_locked(const struct client *client, uint64_t serial)
{
	struct list *pos;

	list_for_each (pos, &live_clients) {
		const struct client *c = list_entry(pos, struct client, live_link);

		if (c == client && c->serial == serial)
			return true;
	}
	return false;
}

static void
thread_end(void *arg)
{
	struct thread_ctx *tc = arg;
	uint32_t i;

	pthread_mutex_lock(&live_lock);
	for (i = 0; i < THREAD_CTX_NR; i++, tc++) {
		if (tc->ctx != NULL && client_lives_locked(tc->client, tc->serial) &&
		    tc->ctx->fork_gen == fork_gen())
			client_ctx_idle(tc->client, tc->ctx);
		tc->ctx = NULL;
	}
	pthread_mutex_unlock(&live_lock);
}

static void
thread_key_make(void)
{
	pthread_key_create(&thread_key, thread_end);
}

static bool
thread_ctx_is(const struct thread_ctx *tc, const struct client *client)
{
	return tc->client == client && tc->serial == client->serial && tc->ctx != NULL &&
	       tc->ctx->fork_gen == fork_gen();
}

int
client_thread_ctx(struct client *client, struct ctx **ret_ctx)
{
	struct thread_ctx *tc = thread_ctxs;
	struct ctx *ctx = NULL;
	uint32_t i;
	int rc;

	for (i = 0; i < THREAD_CTX_NR; i++) {
		if (thread_ctx_is(&thread_ctxs[i], client)) {
			*ret_ctx = thread_ctxs[i].ctx;
			return 0;
		}
	}
	pthread_mutex_lock(&client->lock);
	while (ctx == NULL && client->idle_nr > 0) {
		ctx = client->idle[--client->idle_nr];
		if (ctx->fork_gen != fork_gen())
			ctx = NULL; /* the parent's: stays in ctxs */
	}
	pthread_mutex_unlock(&client->lock);
	if (ctx == NULL) {
		rc = ctx_create(client, &ctx);
		if (rc != 0)
			return rc;
	}
	pthread_once(&thread_once, thread_key_make);
	pthread_setspecific(thread_key, thread_ctxs);
	tc = &thread_ctxs[thread_ctx_next++ % THREAD_CTX_NR];
	tc->client = client;
	tc->serial = client->serial;
	tc->ctx = ctx;
	*ret_ctx = ctx;
	return 0;
}
