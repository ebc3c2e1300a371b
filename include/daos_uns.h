/*
 * The unified namespace: paths that lead to containers.
 *
 * A path is "daos://pool/container[/path]", or an ordinary path of which some part is a directory
 * (POSIX containers) or file (others) that carries the extended attribute DUNS_XATTR_NAME. Calls
 * return 0 or a positive errno.
 */
#ifndef DAOS_UNS_H
#define DAOS_UNS_H

#include <daos_prop.h>
#include <daos_obj_class.h>
#include <daos_cont.h>

#if defined(__cplusplus)
extern "C" {
#endif

#pragma GCC visibility push(default)

/** da_flags of duns_resolve_path(). */
enum {
	/** The path is "/pool/container[/path]". */
	DUNS_NO_PREFIX = (1 << 0),
	/** Look at the last component only, not at those above it. */
	DUNS_NO_REVERSE_LOOKUP = (1 << 1),
	/** Only the direct form; do not touch the file system. */
	DUNS_NO_CHECK_PATH = (1 << 2),
};

/** In for duns_create_path(), in (flags) and out for duns_resolve_path(). */
struct duns_attr_t {
	daos_cont_layout_t da_type;
	daos_oclass_id_t da_oclass_id; /* create: of everything, 0: default */
	daos_size_t da_chunk_size;     /* create: bytes, 0: default */
	daos_prop_t *da_props;         /* create: more container properties */
	uint32_t da_flags;
	/** Label or uuid. create: da_cont may be a label wanted. */
	char da_pool[DAOS_PROP_LABEL_MAX_LEN + 1];
	char da_cont[DAOS_PROP_LABEL_MAX_LEN + 1];
	char *da_sys;      /* system name, or NULL */
	char *da_rel_path; /* what is left of the path below the container, or NULL */
	bool da_on_lustre; /* the link is Lustre's, not an extended attribute */
	bool da_no_prefix; /* old form of DUNS_NO_PREFIX */
	uuid_t da_puuid;   /* old forms of da_pool and da_cont */
	uuid_t da_cuuid;
	daos_oclass_id_t da_dir_oclass_id;
	daos_oclass_id_t da_file_oclass_id;
	char da_hints[DAOS_CONT_HINT_MAX_LEN];
};

#define DUNS_XATTR_NAME    "user.daos"
#define DUNS_MAX_XATTR_LEN 170
/** Layout type, pool uuid, container uuid. */
#define DUNS_XATTR_FMT        "DAOS.%s://%36s/%36s"
#define DUNS_LUSTRE_XATTR_FMT "%36s/%36s"

/** Make a directory or file, a container, and tie them together. EEXIST, and others. */
int duns_create_path(daos_handle_t poh, const char *path, struct duns_attr_t *attrp);

/** Find the container of a path. ENODATA if there is none; EINVAL for a malformed path. */
int duns_resolve_path(const char *path, struct duns_attr_t *attr);

/** Destroy the container and remove the path. */
int duns_destroy_path(daos_handle_t poh, const char *path);

/** Take the text of the extended attribute apart. */
int duns_parse_attr(char *str, daos_size_t len, struct duns_attr_t *attr);
int duns_set_sys_name(struct duns_attr_t *attrp, const char *sys);

/** Free what duns_resolve_path() and duns_set_sys_name() allocated inside attrp. */
void duns_destroy_attr(struct duns_attr_t *attrp);

/** Make a path for a container that exists. */
int duns_link_cont(daos_handle_t poh, const char *cont, const char *path);

#pragma GCC visibility pop

#if defined(__cplusplus)
}
#endif

#endif /* DAOS_UNS_H */
