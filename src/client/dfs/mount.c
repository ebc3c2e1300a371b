/*
 * POSIX containers: creating them, mounting them.
 *
 * A container of the POSIX layout names two objects in its ROOTS property: the superblock (its
 * attributes, and the entry "/" of the root directory) and the root directory. Creating writes the
 * superblock with a condition, so that two creators of the same container agree on one.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

#include <daos/common.h>

#include "client/dfs/dfs_internal.h"

#define SB_MAGIC  0xda05df50da05df50ull
#define SB_DKEY   "DFS_SB_METADATA"
#define ROOT_NAME "/"
enum { SB_VERSION = 2, LAYOUT_VERSION = 3, SB_NR = 9 };
enum { ROOTS_TURNS = 200, ROOTS_TURN_US = 10000 };
enum { EC_CHUNK_MIN = 1024 * 1024, EC_CELL_DEFAULT = 128 * 1024 };

static struct {
	pthread_mutex_t lock;
	int refs; /* of dfs_init() */
} library = {PTHREAD_MUTEX_INITIALIZER, 0};

int
dfs_init(void)
{
	int rc = daos_init();

	if (rc != 0)
		return daos_der2errno(rc);
	pthread_mutex_lock(&library.lock);
	library.refs++;
	pthread_mutex_unlock(&library.lock);
	return 0;
}

int
dfs_fini(void)
{
	bool last;

	pthread_mutex_lock(&library.lock);
	last = library.refs == 0;
	if (!last)
		library.refs--;
	pthread_mutex_unlock(&library.lock);
	if (last)
		return EINVAL;
	return daos_der2errno(daos_fini());
}

bool
dfs_is_init(void)
{
	bool yes;

	pthread_mutex_lock(&library.lock);
	yes = library.refs > 0;
	pthread_mutex_unlock(&library.lock);
	return yes;
}

void
now(struct timespec *ts)
{
	clock_gettime(CLOCK_REALTIME, ts);
}

int
writable(const dfs_t *dfs)
{
	return dfs->amode == O_RDONLY ? EPERM : 0;
}

/* --- superblock
 * ------------------------------------------------------------------------------------------ */

struct sb {
	uint64_t magic;
	uint16_t sb_version, layout_version;
	uint64_t chunk_size;
	uint32_t oclass, dir_oclass, file_oclass, mode;
	char hints[DAOS_CONT_HINT_MAX_LEN];
};

struct sb_io {
	daos_key_t dkey;
	daos_iod_t iods[SB_NR];
	d_sg_list_t sgls[SB_NR];
	d_iov_t iovs[SB_NR];
};

static void
sb_io_init(struct sb_io *io, struct sb *sb)
{
	const struct {
		const char *akey;
		void *p;
		size_t len;
	} fields[SB_NR] = {
	    {"DFS_MAGIC", &sb->magic, 8},
	    {"DFS_SB_VERSION", &sb->sb_version, 2},
	    {"DFS_LAYOUT_VERSION", &sb->layout_version, 2},
	    {"DFS_CHUNK_SIZE", &sb->chunk_size, 8},
	    {"DFS_OBJ_CLASS", &sb->oclass, 4},
	    {"DFS_DIR_OBJ_CLASS", &sb->dir_oclass, 4},
	    {"DFS_FILE_OBJ_CLASS", &sb->file_oclass, 4},
	    {"DFS_MODE", &sb->mode, 4},
	    {"DFS_HINTS", sb->hints, sizeof(sb->hints)},
	};
	int i;

	memset(io, 0, sizeof(*io));
	d_iov_set(&io->dkey, SB_DKEY, sizeof(SB_DKEY) - 1);
	for (i = 0; i < SB_NR; i++) {
		d_iov_set(&io->iods[i].iod_name, (void *)fields[i].akey, strlen(fields[i].akey));
		io->iods[i].iod_type = DAOS_IOD_SINGLE;
		io->iods[i].iod_size = fields[i].len;
		io->iods[i].iod_nr = 1;
		d_iov_set(&io->iovs[i], fields[i].p, fields[i].len);
		io->sgls[i].sg_nr = 1;
		io->sgls[i].sg_iovs = &io->iovs[i];
	}
}

static int
sb_read(daos_handle_t oh, struct sb *sb)
{
	struct sb_io io;
	int rc;

	memset(sb, 0, sizeof(*sb));
	sb_io_init(&io, sb);
	rc = daos_obj_fetch(oh, DAOS_TX_NONE, 0, &io.dkey, SB_NR, io.iods, io.sgls, NULL, NULL);
	if (rc != 0)
		return daos_der2errno(rc);
	if (io.iods[0].iod_size == 0)
		return ENOENT;
	if (sb->magic != SB_MAGIC)
		return EINVAL;
	if (sb->sb_version > SB_VERSION || sb->layout_version > LAYOUT_VERSION)
		return EINVAL; /* made by something newer */
	sb->hints[sizeof(sb->hints) - 1] = '\0';
	return 0;
}

/* --- classes
 * ------------------------------------------------------------------------------------------------
 */

/* "file:single,dir:max" and the like: the hint for one kind. */
static int
hint_of(const char *hints, bool dir, daos_oclass_hints_t *ret)
{
	const char *p = hints;

	*ret = 0;
	while (*p != '\0') {
		size_t n = strcspn(p, ",");
		size_t k = strcspn(p, ":");
		bool for_dir, for_file;

		if (k >= n)
			return EINVAL;
		for_dir = (k == 3 && strncasecmp(p, "dir", 3) == 0) ||
			  (k == 9 && strncasecmp(p, "directory", 9) == 0);
		for_file = k == 4 && strncasecmp(p, "file", 4) == 0;
		if (!for_dir && !for_file)
			return EINVAL;
		if (n - k - 1 == 6 && strncasecmp(p + k + 1, "single", 6) == 0) {
			if (for_dir == dir)
				*ret = DAOS_OCH_SHD_TINY;
		} else if (n - k - 1 == 3 && strncasecmp(p + k + 1, "max", 3) == 0) {
			if (for_dir == dir)
				*ret = DAOS_OCH_SHD_MAX;
		} else {
			return EINVAL;
		}
		p += n + (p[n] == ',');
	}
	return 0;
}

/* Which class automatic choice gives in this container: by asking for an object id. */
static int
class_resolve(daos_handle_t coh, bool dir, daos_oclass_id_t cid, const char *hints,
	      daos_oclass_id_t *ret)
{
	daos_obj_id_t oid = {.lo = 1, .hi = 0};
	daos_oclass_hints_t hint = 0;
	int rc;

	if (cid == OC_UNKNOWN) {
		rc = hint_of(hints, dir, &hint);
		if (rc != 0)
			return rc;
	}
	rc = daos_obj_generate_oid(coh, &oid, dir ? DAOS_OT_MULTI_HASHED : DAOS_OT_ARRAY_BYTE, cid,
				   hint, 0);
	if (rc != 0)
		return daos_der2errno(rc);
	*ret = cid != OC_UNKNOWN ? cid : daos_obj_id2class(oid);
	return 0;
}

int
dfs_suggest_oclass(dfs_t *dfs, const char *hint, daos_oclass_id_t *cid)
{
	bool dir;

	if (dfs == NULL || hint == NULL || cid == NULL)
		return EINVAL;
	dir = strncasecmp(hint, "dir", 3) == 0;
	return class_resolve(dfs->coh, dir, OC_UNKNOWN, hint, cid);
}

/* --- create
 * -------------------------------------------------------------------------------------------------
 */

static int
root_oids(daos_handle_t coh, daos_oclass_id_t dir_class, daos_obj_id_t *super, daos_obj_id_t *root)
{
	int rc;

	*super = (daos_obj_id_t){.lo = 0, .hi = 0};
	*root = (daos_obj_id_t){.lo = 0, .hi = 1};
	rc = daos_obj_generate_oid(coh, super, DAOS_OT_MULTI_HASHED, dir_class, 0, 0);
	if (rc == 0)
		rc = daos_obj_generate_oid(coh, root, DAOS_OT_MULTI_HASHED, dir_class, 0, 0);
	return daos_der2errno(rc);
}

/* Superblock and root entry. Somebody else may have written them since: theirs are as good. */
static int
sb_write(daos_handle_t coh, const struct sb *sb, daos_obj_id_t super, daos_obj_id_t root)
{
	struct dfs_entry e = {
	    .mode = S_IFDIR | 0755, .oid = root, .uid = geteuid(), .gid = getegid()};
	struct sb copy = *sb;
	struct sb_io io;
	daos_handle_t oh;
	int rc;

	rc = daos_obj_open(coh, super, DAOS_OO_RW, &oh, NULL);
	if (rc != 0)
		return open_errno(rc);
	now(&e.mtime);
	e.ctime = e.mtime;
	rc = entry_insert(oh, ROOT_NAME, &e, NULL);
	if (rc == 0 || rc == EEXIST) {
		sb_io_init(&io, &copy);
		rc = daos_obj_update(oh, DAOS_TX_NONE, DAOS_COND_DKEY_INSERT, &io.dkey, SB_NR,
				     io.iods, io.sgls, NULL);
		rc = rc == -DER_EXIST ? 0 : daos_der2errno(rc);
	}
	daos_obj_close(oh, NULL);
	return rc;
}

/* Properties of the new container: the caller's, with label and layout. */
static int
cont_props(const char *label, const dfs_attr_t *attr, daos_prop_t **ret)
{
	daos_prop_t *own = daos_prop_alloc(label != NULL ? 2 : 1);
	daos_prop_t *merged;

	if (own == NULL)
		return ENOMEM;
	own->dpp_entries[0].dpe_type = DAOS_PROP_CO_LAYOUT_TYPE;
	own->dpp_entries[0].dpe_val = DAOS_PROP_CO_LAYOUT_POSIX;
	if (label != NULL) {
		own->dpp_entries[1].dpe_type = DAOS_PROP_CO_LABEL;
		own->dpp_entries[1].dpe_str = strdup(label);
	}
	if (attr == NULL || attr->da_props == NULL) {
		*ret = own;
		return 0;
	}
	if (label != NULL && daos_prop_entry_get(attr->da_props, DAOS_PROP_CO_LABEL) != NULL) {
		daos_prop_free(own);
		return EINVAL;
	}
	merged = daos_prop_merge(attr->da_props, own);
	daos_prop_free(own);
	*ret = merged;
	return merged == NULL ? ENOMEM : 0;
}

/* Data cells of an erasure code, and failures that a class survives. */
static void
class_strength(daos_oclass_id_t cid, uint32_t *ret_data, uint32_t *ret_failures)
{
	static const struct {
		uint32_t redun;
		uint8_t data, failures;
	} known[] = {
	    {OR_RP_2, 0, 1},     {OR_RP_3, 0, 2},   {OR_RP_4, 0, 3},   {OR_RP_5, 0, 4},
	    {OR_RP_6, 0, 5},     {OR_RP_8, 0, 7},   {OR_RP_12, 0, 11}, {OR_RP_16, 0, 15},
	    {OR_RP_24, 0, 23},   {OR_RP_32, 0, 31}, {OR_RP_48, 0, 47}, {OR_RP_64, 0, 63},
	    {OR_RP_128, 0, 127}, {OR_RS_2P1, 2, 1}, {OR_RS_2P2, 2, 2}, {OR_RS_4P1, 4, 1},
	    {OR_RS_4P2, 4, 2},   {OR_RS_8P1, 8, 1}, {OR_RS_8P2, 8, 2}, {OR_RS_16P1, 16, 1},
	    {OR_RS_16P2, 16, 2}, {OR_RS_4P3, 4, 3}, {OR_RS_8P3, 8, 3}, {OR_RS_16P3, 16, 3},
	};
	size_t i;

	*ret_data = *ret_failures = 0;
	for (i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		if (known[i].redun == cid >> OC_REDUN_SHIFT) {
			*ret_data = known[i].data;
			*ret_failures = known[i].failures;
		}
	}
}

static bool
class_is_ec(daos_oclass_id_t cid)
{
	uint32_t data, failures;

	class_strength(cid, &data, &failures);
	return data > 0;
}

/* What the container's properties ask of classes. */
static int
cont_redundancy(daos_handle_t coh, uint64_t *ret_rd_fac, uint64_t *ret_cell)
{
	daos_prop_t *prop = daos_prop_alloc(2);
	int rc;

	if (prop == NULL)
		return ENOMEM;
	prop->dpp_entries[0].dpe_type = DAOS_PROP_CO_REDUN_FAC;
	prop->dpp_entries[1].dpe_type = DAOS_PROP_CO_EC_CELL_SZ;
	rc = daos_der2errno(daos_cont_query(coh, NULL, prop, NULL));
	*ret_rd_fac = prop->dpp_entries[0].dpe_val;
	*ret_cell = prop->dpp_entries[1].dpe_val;
	if (*ret_cell == 0)
		*ret_cell = EC_CELL_DEFAULT;
	daos_prop_free(prop);
	return rc;
}

/* A class that was asked for must survive what the container promises. */
static int
class_check(daos_oclass_id_t cid, uint64_t rd_fac)
{
	uint32_t data, failures;

	class_strength(cid, &data, &failures);
	return cid != OC_UNKNOWN && failures < rd_fac ? EINVAL : 0;
}

/* Files of an erasure code: chunks of whole stripes, none smaller than 1 MiB. */
static uint64_t
chunk_default(daos_oclass_id_t file_class, uint64_t cell)
{
	uint32_t data, failures;
	uint64_t stripe;

	class_strength(file_class, &data, &failures);
	if (data == 0)
		return DFS_DEFAULT_CHUNK_SIZE;
	stripe = data * cell;
	if (stripe >= EC_CHUNK_MIN)
		return 2 * stripe;
	return (EC_CHUNK_MIN + stripe - 1) / stripe * stripe;
}

static int
sb_prepare(daos_handle_t coh, const dfs_attr_t *attr, struct sb *sb)
{
	static const dfs_attr_t none;
	daos_oclass_id_t dir, file;
	uint64_t rd_fac, cell;
	int rc;

	if (attr == NULL)
		attr = &none;
	memset(sb, 0, sizeof(*sb));
	sb->magic = SB_MAGIC;
	sb->sb_version = SB_VERSION;
	sb->layout_version = LAYOUT_VERSION;
	sb->mode = attr->da_mode;
	sb->oclass = attr->da_oclass_id;
	memcpy(sb->hints, attr->da_hints, sizeof(sb->hints) - 1);
	dir = attr->da_dir_oclass_id != 0 ? attr->da_dir_oclass_id : attr->da_oclass_id;
	file = attr->da_file_oclass_id != 0 ? attr->da_file_oclass_id : attr->da_oclass_id;
	if (class_is_ec(dir)) {
		D_WARN("an erasure code is not for directories: using the default class\n");
		dir = OC_UNKNOWN;
	}
	rc = cont_redundancy(coh, &rd_fac, &cell);
	if (rc == 0)
		rc = class_check(dir, rd_fac);
	if (rc == 0)
		rc = class_check(file, rd_fac);
	if (rc == 0)
		rc = class_resolve(coh, true, dir, sb->hints, &sb->dir_oclass);
	if (rc == 0)
		rc = class_resolve(coh, false, file, sb->hints, &sb->file_oclass);
	if (rc != 0)
		return rc;
	sb->chunk_size =
	    attr->da_chunk_size != 0 ? attr->da_chunk_size : chunk_default(sb->file_oclass, cell);
	return 0;
}

/* The ROOTS property tells where the superblock is. */
static int
roots_set(daos_handle_t coh, daos_obj_id_t super, daos_obj_id_t root)
{
	struct daos_prop_co_roots roots = {.cr_oids = {super, root}};
	daos_prop_t *prop = daos_prop_alloc(1);
	int rc;

	if (prop == NULL)
		return ENOMEM;
	prop->dpp_entries[0].dpe_type = DAOS_PROP_CO_ROOTS;
	rc = daos_prop_set_ptr(prop, DAOS_PROP_CO_ROOTS, &roots, sizeof(roots));
	if (rc == 0)
		rc = daos_cont_set_prop(coh, prop, NULL);
	daos_prop_free(prop);
	return daos_der2errno(rc);
}

static int
cont_create(daos_handle_t poh, const char *label, dfs_attr_t *attr, uuid_t *ret_uuid,
	    daos_handle_t *ret_coh, dfs_t **ret_dfs)
{
	daos_prop_t *prop = NULL;
	daos_obj_id_t super, root;
	daos_handle_t coh;
	char text[37];
	struct sb sb;
	uuid_t uuid;
	int rc;

	if (attr != NULL && attr->da_mode != DFS_RELAXED)
		return attr->da_mode == DFS_BALANCED ? ENOTSUP : EINVAL; /* needs transactions */
	rc = cont_props(label, attr, &prop);
	if (rc != 0)
		return rc;
	rc = daos_cont_create(poh, &uuid, prop, NULL);
	daos_prop_free(prop);
	if (rc != 0)
		return daos_der2errno(rc);
	uuid_unparse_lower(uuid, text);
	rc = daos_cont_open(poh, text, DAOS_COO_RW, &coh, NULL, NULL);
	if (rc != 0) {
		rc = daos_der2errno(rc);
		goto destroy;
	}
	rc = sb_prepare(coh, attr, &sb);
	if (rc == 0)
		rc = root_oids(coh, sb.dir_oclass, &super, &root);
	if (rc == 0)
		rc = sb_write(coh, &sb, super, root);
	if (rc == 0)
		rc = roots_set(coh, super, root);
	if (rc == 0 && ret_dfs != NULL)
		rc = dfs_mount(poh, coh, O_RDWR, ret_dfs);
	if (rc != 0 || ret_coh == NULL)
		daos_cont_close(coh, NULL);
	else
		*ret_coh = coh;
	if (rc != 0)
		goto destroy;
	if (ret_uuid != NULL)
		uuid_copy(*ret_uuid, uuid);
	return 0;
destroy:
	daos_cont_destroy(poh, text, 1, NULL);
	return rc;
}

int
dfs_cont_create(daos_handle_t poh, uuid_t *uuid, dfs_attr_t *attr, daos_handle_t *coh, dfs_t **dfs)
{
	if (uuid == NULL || (dfs != NULL && coh == NULL))
		return EINVAL; /* the mount uses the handle, so somebody must own it */
	return cont_create(poh, NULL, attr, uuid, coh, dfs);
}

int
dfs_cont_create_with_label(daos_handle_t poh, const char *label, dfs_attr_t *attr, uuid_t *uuid,
			   daos_handle_t *coh, dfs_t **dfs)
{
	if (!daos_label_is_valid(label) || (dfs != NULL && coh == NULL))
		return EINVAL;
	return cont_create(poh, label, attr, uuid, coh, dfs);
}

/* --- mount
 * --------------------------------------------------------------------------------------------------
 */

/* EINVAL: not a POSIX container; EAGAIN: one without roots. */
static int
roots_get(daos_handle_t coh, daos_obj_id_t *super, daos_obj_id_t *root)
{
	daos_prop_t *prop = daos_prop_alloc(2);
	struct daos_prop_entry *e;
	int rc;

	if (prop == NULL)
		return ENOMEM;
	prop->dpp_entries[0].dpe_type = DAOS_PROP_CO_LAYOUT_TYPE;
	prop->dpp_entries[1].dpe_type = DAOS_PROP_CO_ROOTS;
	rc = daos_der2errno(daos_cont_query(coh, NULL, prop, NULL));
	e = daos_prop_entry_get(prop, DAOS_PROP_CO_LAYOUT_TYPE);
	if (rc == 0 && (e == NULL || e->dpe_val != DAOS_PROP_CO_LAYOUT_POSIX))
		rc = EINVAL;
	e = daos_prop_entry_get(prop, DAOS_PROP_CO_ROOTS);
	if (rc == 0 && (e == NULL || e->dpe_val_ptr == NULL))
		rc = EAGAIN;
	if (rc == 0) {
		const struct daos_prop_co_roots *roots = e->dpe_val_ptr;

		*super = roots->cr_oids[0];
		*root = roots->cr_oids[1];
		if (daos_obj_id_is_nil(*super) || daos_obj_id_is_nil(*root))
			rc = EAGAIN;
	}
	daos_prop_free(prop);
	return rc;
}

/*
 * The property is set by the creator's last step, so a container may be met without it by somebody
 * who only just lost the race to create it: wait a little for the winner.
 */
static int
roots_wait(daos_handle_t coh, daos_obj_id_t *super, daos_obj_id_t *root)
{
	int turn, rc = EAGAIN;

	for (turn = 0; rc == EAGAIN && turn < ROOTS_TURNS; turn++) {
		if (turn > 0)
			usleep(ROOTS_TURN_US);
		rc = roots_get(coh, super, root);
	}
	return rc == EAGAIN ? EINVAL : rc;
}

static dfs_t *
dfs_alloc(daos_handle_t poh, daos_handle_t coh, int flags)
{
	dfs_t *dfs = calloc(1, sizeof(*dfs));

	if (dfs == NULL)
		return NULL;
	dfs->poh = poh;
	dfs->coh = coh;
	dfs->amode = (flags & O_ACCMODE) == O_RDONLY ? O_RDONLY : O_RDWR;
	pthread_mutex_init(&dfs->lock, NULL);
	return dfs;
}

static void
dfs_free(dfs_t *dfs)
{
	if (dfs->root != NULL)
		dfs_release(dfs->root);
	if (daos_handle_is_valid(dfs->super_oh))
		daos_obj_close(dfs->super_oh, NULL);
	while (dfs->eq_nr > 0)
		daos_eq_destroy(dfs->eqs[--dfs->eq_nr], DAOS_EQ_DESTROY_FORCE);
	pthread_mutex_destroy(&dfs->lock);
	free(dfs->prefix);
	free(dfs);
}

int
eq_take(dfs_t *dfs, daos_handle_t *ret_eq)
{
	bool found;

	pthread_mutex_lock(&dfs->lock);
	found = dfs->eq_nr > 0;
	if (found)
		*ret_eq = dfs->eqs[--dfs->eq_nr];
	pthread_mutex_unlock(&dfs->lock);
	return found ? 0 : daos_der2errno(daos_eq_create(ret_eq));
}

void
eq_give(dfs_t *dfs, daos_handle_t eq, bool clean)
{
	bool kept = false;

	pthread_mutex_lock(&dfs->lock);
	if (clean && dfs->eq_nr < DFS_EQ_MAX) {
		dfs->eqs[dfs->eq_nr++] = eq;
		kept = true;
	}
	pthread_mutex_unlock(&dfs->lock);
	if (!kept)
		daos_eq_destroy(eq, DAOS_EQ_DESTROY_FORCE);
}

/* Open superblock and root; attr is read from the superblock unless it is known. */
static int
mount_roots(dfs_t *dfs, bool attr_known)
{
	unsigned mode = dfs->amode == O_RDONLY ? DAOS_OO_RO : DAOS_OO_RW;
	static const daos_obj_id_t none;
	struct dfs_entry e;
	struct sb sb;
	int rc;

	rc = daos_der2errno(daos_obj_open(dfs->coh, dfs->super_oid, mode, &dfs->super_oh, NULL));
	if (rc != 0)
		return rc;
	if (!attr_known) {
		rc = sb_read(dfs->super_oh, &sb);
		if (rc != 0)
			return rc;
		dfs->attr.da_chunk_size = sb.chunk_size;
		dfs->attr.da_oclass_id = sb.oclass;
		dfs->attr.da_dir_oclass_id = sb.dir_oclass;
		dfs->attr.da_file_oclass_id = sb.file_oclass;
		dfs->attr.da_mode = sb.mode;
		memcpy(dfs->attr.da_hints, sb.hints, sizeof(sb.hints));
	}
	rc = entry_fetch(dfs->super_oh, ROOT_NAME, &e);
	if (rc == 0)
		rc = obj_open_entry(dfs, &none, NULL, ROOT_NAME, &e, dfs->amode, NULL, &dfs->root);
	return rc;
}

int
dfs_mount(daos_handle_t poh, daos_handle_t coh, int flags, dfs_t **ret_dfs)
{
	dfs_t *dfs;
	int rc;

	if (ret_dfs == NULL)
		return EINVAL;
	dfs = dfs_alloc(poh, coh, flags);
	if (dfs == NULL)
		return ENOMEM;
	rc = roots_wait(coh, &dfs->super_oid, &dfs->root_oid);
	if (rc == 0)
		rc = mount_roots(dfs, false);
	if (rc == 0 && dfs->attr.da_mode == DFS_BALANCED)
		rc = (flags & DFS_BALANCED) == 0 ? EPERM : ENOTSUP; /* needs transactions */
	if (rc != 0) {
		dfs_free(dfs);
		return rc;
	}
	*ret_dfs = dfs;
	return 0;
}

static int
umount_check(dfs_t *dfs)
{
	bool busy;

	pthread_mutex_lock(&dfs->lock);
	busy = dfs->borrowed > 0;
	pthread_mutex_unlock(&dfs->lock);
	return busy ? EBUSY : 0;
}

int
dfs_umount(dfs_t *dfs)
{
	int rc;

	if (dfs == NULL || dfs->conn != NULL)
		return EINVAL; /* of dfs_connect(): dfs_disconnect() ends it */
	rc = umount_check(dfs);
	if (rc == 0)
		dfs_free(dfs);
	return rc;
}

int
dfs_query(dfs_t *dfs, dfs_attr_t *attr)
{
	if (dfs == NULL || attr == NULL)
		return EINVAL;
	*attr = dfs->attr;
	attr->da_props = NULL;
	return 0;
}

/* A handle of the mount is lent: it cannot be unmounted until that is put back. */
static int
lend(dfs_t *dfs, daos_handle_t own, daos_handle_t *ret)
{
	pthread_mutex_lock(&dfs->lock);
	dfs->borrowed++;
	pthread_mutex_unlock(&dfs->lock);
	*ret = own;
	return 0;
}

static int
put_back(dfs_t *dfs, daos_handle_t own, daos_handle_t lent)
{
	int rc = EINVAL;

	pthread_mutex_lock(&dfs->lock);
	if (own.cookie == lent.cookie && dfs->borrowed > 0) {
		dfs->borrowed--;
		rc = 0;
	}
	pthread_mutex_unlock(&dfs->lock);
	return rc;
}

int
dfs_pool_get(dfs_t *dfs, daos_handle_t *poh)
{
	return dfs == NULL || poh == NULL ? EINVAL : lend(dfs, dfs->poh, poh);
}

int
dfs_pool_put(dfs_t *dfs, daos_handle_t poh)
{
	return dfs == NULL ? EINVAL : put_back(dfs, dfs->poh, poh);
}

int
dfs_cont_get(dfs_t *dfs, daos_handle_t *coh)
{
	return dfs == NULL || coh == NULL ? EINVAL : lend(dfs, dfs->coh, coh);
}

int
dfs_cont_put(dfs_t *dfs, daos_handle_t coh)
{
	return dfs == NULL ? EINVAL : put_back(dfs, dfs->coh, coh);
}

int
dfs_set_prefix(dfs_t *dfs, const char *prefix)
{
	char *copy = NULL;
	size_t len = 0;

	if (dfs == NULL)
		return EINVAL;
	if (prefix != NULL) {
		len = strlen(prefix);
		if (prefix[0] != '/' || len >= DFS_MAX_PATH)
			return EINVAL;
		while (len > 0 && prefix[len - 1] == '/')
			len--;
		copy = strndup(prefix, len);
		if (copy == NULL)
			return ENOMEM;
	}
	pthread_mutex_lock(&dfs->lock);
	free(dfs->prefix);
	dfs->prefix = copy;
	dfs->prefix_len = len;
	pthread_mutex_unlock(&dfs->lock);
	return 0;
}

/* Whatever was acknowledged is durable already. */
int
dfs_sync(dfs_t *dfs)
{
	if (dfs == NULL)
		return EINVAL;
	return writable(dfs);
}

/* --- ids of new objects
 * ----------------------------------------------------------------------------------------- */

int
oid_new(dfs_t *dfs, bool dir, daos_oclass_id_t cid, daos_obj_id_t *ret_oid)
{
	daos_obj_id_t oid;
	int rc = 0;

	pthread_mutex_lock(&dfs->lock);
	/* ids with lo 0 belong to the superblock and the root */
	while (rc == 0 && dfs->next_oid.lo == 0) {
		rc = daos_cont_alloc_oids(dfs->coh, 1, &dfs->next_oid.lo, NULL);
		dfs->next_oid.hi = 0;
	}
	oid = dfs->next_oid;
	if (rc == 0) {
		daos_obj_oid_cycle(&dfs->next_oid);
		if (dfs->next_oid.hi == 0)
			dfs->next_oid.lo = 0; /* once around: a new range next time */
	}
	pthread_mutex_unlock(&dfs->lock);
	if (rc == 0)
		rc = daos_obj_generate_oid(
		    dfs->coh, &oid, dir ? DAOS_OT_MULTI_HASHED : DAOS_OT_ARRAY_BYTE, cid, 0, 0);
	if (rc == 0)
		*ret_oid = oid;
	return daos_der2errno(rc);
}

daos_oclass_id_t
class_for_new(const dfs_t *dfs, const struct dfs_obj *parent, daos_oclass_id_t cid, bool dir)
{
	daos_oclass_id_t own;

	if (cid != OC_UNKNOWN)
		return cid;
	/* a directory's default may be an erasure code, which is not for directories */
	own = atomic_load(&parent->oclass);
	if (own != OC_UNKNOWN && !(dir && class_is_ec(own)))
		return own;
	return dir ? dfs->attr.da_dir_oclass_id : dfs->attr.da_file_oclass_id;
}

daos_size_t
chunk_for_new(const dfs_t *dfs, const struct dfs_obj *parent, daos_size_t chunk)
{
	if (chunk == 0)
		chunk = atomic_load(&parent->chunk_size);
	return chunk != 0 ? chunk : dfs->attr.da_chunk_size;
}

/* --- passing mounts to other processes
 * ----------------------------------------------------------------------------- */

enum { GLOB_MAGIC = 0xdf5610b1, GLOB_VERSION = 1 };
struct mount_glob { /* between processes of one job and one build of the library */
	uint32_t magic, version;
	uint64_t super_lo, super_hi, root_lo, root_hi;
	uint64_t chunk_size;
	uint32_t oclass, dir_oclass, file_oclass, mode;
	int32_t amode;
	uint32_t pad;
	char hints[DAOS_CONT_HINT_MAX_LEN];
};

int
dfs_local2global(dfs_t *dfs, d_iov_t *glob)
{
	struct mount_glob g = {.magic = GLOB_MAGIC, .version = GLOB_VERSION};

	if (dfs == NULL || glob == NULL)
		return EINVAL;
	if (glob->iov_buf == NULL || glob->iov_buf_len < sizeof(g)) {
		bool asked = glob->iov_buf == NULL;

		glob->iov_buf_len = sizeof(g);
		return asked ? 0 : ENOBUFS;
	}
	g.super_lo = dfs->super_oid.lo;
	g.super_hi = dfs->super_oid.hi;
	g.root_lo = dfs->root_oid.lo;
	g.root_hi = dfs->root_oid.hi;
	g.chunk_size = dfs->attr.da_chunk_size;
	g.oclass = dfs->attr.da_oclass_id;
	g.dir_oclass = dfs->attr.da_dir_oclass_id;
	g.file_oclass = dfs->attr.da_file_oclass_id;
	g.mode = dfs->attr.da_mode;
	g.amode = dfs->amode;
	memcpy(g.hints, dfs->attr.da_hints, sizeof(g.hints));
	memcpy(glob->iov_buf, &g, sizeof(g));
	glob->iov_len = sizeof(g);
	return 0;
}

int
dfs_global2local(daos_handle_t poh, daos_handle_t coh, int flags, d_iov_t glob, dfs_t **ret_dfs)
{
	struct mount_glob g;
	dfs_t *dfs;
	int rc;

	if (ret_dfs == NULL || glob.iov_buf == NULL || glob.iov_len < sizeof(g))
		return EINVAL;
	memcpy(&g, glob.iov_buf, sizeof(g));
	if (g.magic != GLOB_MAGIC || g.version != GLOB_VERSION)
		return EINVAL;
	dfs = dfs_alloc(poh, coh, flags != 0 ? flags : g.amode);
	if (dfs == NULL)
		return ENOMEM;
	dfs->super_oid = (daos_obj_id_t){.lo = g.super_lo, .hi = g.super_hi};
	dfs->root_oid = (daos_obj_id_t){.lo = g.root_lo, .hi = g.root_hi};
	dfs->attr.da_chunk_size = g.chunk_size;
	dfs->attr.da_oclass_id = g.oclass;
	dfs->attr.da_dir_oclass_id = g.dir_oclass;
	dfs->attr.da_file_oclass_id = g.file_oclass;
	dfs->attr.da_mode = g.mode;
	memcpy(dfs->attr.da_hints, g.hints, sizeof(g.hints));
	rc = mount_roots(dfs, true);
	if (rc != 0) {
		dfs_free(dfs);
		return rc;
	}
	*ret_dfs = dfs;
	return 0;
}
