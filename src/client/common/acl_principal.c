/*
 * Principals: "name@" or "name@domain", and the system's users and groups behind them. The domain
 * is not used.
 */
#include <ctype.h>
#include <grp.h>
#include <pwd.h>

#include <gurt/common.h>
#include <daos_security.h>

/* Room for one entry of the user or group database; entries with many members need a lot. */
#define DB_BUF_MIN 4096
#define DB_BUF_MAX (1 << 20)

bool
daos_acl_principal_is_valid(const char *name)
{
	const char *at = NULL;
	size_t len;
	size_t i;

	if (name == NULL)
		return false;
	len = strnlen(name, DAOS_ACL_MAX_PRINCIPAL_BUF_LEN);
	if (len == 0 || len > DAOS_ACL_MAX_PRINCIPAL_LEN)
		return false;
	for (i = 0; i < len; i++) {
		/* A colon would end the field in the text form. */
		if (name[i] == ':' || iscntrl((unsigned char)name[i]))
			return false;
		if (name[i] != '@')
			continue;
		if (at != NULL || i == 0)
			return false;
		at = &name[i];
	}
	return at != NULL;
}

/* The name in front of the @, for the caller to free. */
static int
principal_name(const char *principal, char **ret_name)
{
	if (!daos_acl_principal_is_valid(principal))
		return -DER_INVAL;
	*ret_name = d_strndup(principal, strcspn(principal, "@"));
	return *ret_name == NULL ? -DER_NOMEM : 0;
}

/*
 * One question to the user database: by name, or with name NULL by uid. ret_name is for the caller
 * to free. The buffer grows until the answer fits.
 */
static int
user_query(const char *name, uid_t uid, uid_t *ret_uid, char **ret_name)
{
	struct passwd pwd;
	struct passwd *found = NULL;
	size_t size = DB_BUF_MIN;
	char *buf = NULL;
	int rc;

	do {
		d_free(buf);
		buf = d_malloc(size);
		if (buf == NULL)
			return -DER_NOMEM;
		rc = name != NULL ? getpwnam_r(name, &pwd, buf, size, &found)
				  : getpwuid_r(uid, &pwd, buf, size, &found);
		size *= 2;
	} while (rc == ERANGE && size <= DB_BUF_MAX);
	if (rc == 0 && found != NULL) {
		*ret_uid = pwd.pw_uid;
		*ret_name = d_asprintf2(&rc, "%s@", pwd.pw_name);
		rc = *ret_name == NULL ? -DER_NOMEM : 0;
	} else {
		rc = rc == 0 ? -DER_NONEXIST : d_errno2der(rc);
	}
	d_free(buf);
	return rc;
}

/* As user_query(), for groups. */
static int
group_query(const char *name, gid_t gid, gid_t *ret_gid, char **ret_name)
{
	struct group grp;
	struct group *found = NULL;
	size_t size = DB_BUF_MIN;
	char *buf = NULL;
	int rc;

	do {
		d_free(buf);
		buf = d_malloc(size);
		if (buf == NULL)
			return -DER_NOMEM;
		rc = name != NULL ? getgrnam_r(name, &grp, buf, size, &found)
				  : getgrgid_r(gid, &grp, buf, size, &found);
		size *= 2;
	} while (rc == ERANGE && size <= DB_BUF_MAX);
	if (rc == 0 && found != NULL) {
		*ret_gid = grp.gr_gid;
		*ret_name = d_asprintf2(&rc, "%s@", grp.gr_name);
		rc = *ret_name == NULL ? -DER_NOMEM : 0;
	} else {
		rc = rc == 0 ? -DER_NONEXIST : d_errno2der(rc);
	}
	d_free(buf);
	return rc;
}

int
daos_acl_uid_to_principal(uid_t uid, char **name)
{
	if (name == NULL)
		return -DER_INVAL;
	return user_query(NULL, uid, &uid, name);
}

int
daos_acl_gid_to_principal(gid_t gid, char **name)
{
	if (name == NULL)
		return -DER_INVAL;
	return group_query(NULL, gid, &gid, name);
}

int
daos_acl_principal_to_uid(const char *principal, uid_t *uid)
{
	char *full = NULL;
	char *name;
	int rc;

	if (uid == NULL)
		return -DER_INVAL;
	rc = principal_name(principal, &name);
	if (rc != 0)
		return rc;
	rc = user_query(name, 0, uid, &full);
	d_free(full);
	d_free(name);
	return rc;
}

int
daos_acl_principal_to_gid(const char *principal, gid_t *gid)
{
	char *full = NULL;
	char *name;
	int rc;

	if (gid == NULL)
		return -DER_INVAL;
	rc = principal_name(principal, &name);
	if (rc != 0)
		return rc;
	rc = group_query(name, 0, gid, &full);
	d_free(full);
	d_free(name);
	return rc;
}
