/*
 * Access control lists: blocks, text, principals, evaluation.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <gurt/common.h>
#include <daos_security.h>

#include "client/common/acl_eval.h"

static struct daos_acl *
acl_of(const char *const strs[])
{
	struct daos_acl *acl = NULL;
	size_t nr = 0;

	while (strs[nr] != NULL)
		nr++;
	assert_int_equal(daos_acl_from_strs((const char **)strs, nr, &acl), 0);
	return acl;
}

static void
assert_acl(struct daos_acl *acl, const char *const strs[])
{
	char **have;
	size_t nr;
	size_t i;

	assert_int_equal(daos_acl_to_strs(acl, &have, &nr), 0);
	for (i = 0; i < nr; i++) {
		assert_non_null(strs[i]);
		assert_string_equal(have[i], strs[i]);
		d_free(have[i]);
	}
	assert_null(strs[nr]);
	d_free(have);
}

static void
test_text(void **state)
{
	/* In, out, words; out NULL: refused. */
	static const char *const rows[][3] = {
	    {"A::OWNER@:rw", "A::OWNER@:rw", "Allow::Owner:Read/Write"},
	    {"A:G:GROUP@:wr", "A:G:GROUP@:rw", "Allow:Group:Owner-Group:Read/Write"},
	    {"A::pkcoff@:rw", "A::pkcoff@:rw", "Allow::pkcoff@:Read/Write"},
	    {"A:G:users@:rwta", "A:G:users@:rwta",
	     "Allow:Group:users@:Read/Write/Get-Prop/Get-ACL"},
	    {"A::OWNER@:rwdtTaAo", "A::OWNER@:rwdtTaAo", NULL},
	    {"A::EVERYONE@:", "A::EVERYONE@:", "Allow::Everyone:No-Access"},
	    {"LUA:FS:a@b:cr", "AUL:SF:a@b:rc",
	     "Allow/Audit/Alarm:Access-Success/Access-Failure:a@b:Read/Create-Container"},
	    {"", NULL},
	    {"A::OWNER@", NULL},
	    {"A::OWNER@:rw:", NULL},
	    {"A::OWNER@:x", NULL},
	    {"X::OWNER@:r", NULL},
	    {"A:Q:OWNER@:r", NULL},
	    {"::OWNER@:r", NULL},
	    {"A::name:r", NULL},
	    {"A::@:r", NULL},
	    {"A::a@b@c:r", NULL},
	    {"A::GROUP@:r", NULL},  /* a group without its flag */
	    {"A:G:OWNER@:r", NULL}, /* a flag without a group */
	    {"A:G:EVERYONE@:r", NULL},
	    {"A:S:u@:r", NULL}, /* when, but no audit */
	    {"U::u@:r", NULL},  /* audit, but no when */
	};
	char buf[256];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		struct daos_ace *ace = NULL;
		int rc = daos_ace_from_str(rows[i][0], &ace);

		if (rows[i][1] == NULL) {
			assert_int_equal(rc, -DER_INVAL);
			assert_int_equal(daos_ace_str_get_verbose(rows[i][0], buf, sizeof(buf)),
					 -DER_INVAL);
			continue;
		}
		assert_int_equal(rc, 0);
		assert_true(daos_ace_is_valid(ace));
		assert_int_equal(daos_ace_to_str(ace, buf, sizeof(buf)), 0);
		assert_string_equal(buf, rows[i][1]);
		assert_int_equal(daos_ace_to_str(ace, buf, strlen(rows[i][1])), -DER_TRUNC);
		assert_int_equal(daos_ace_str_get_verbose(rows[i][0], buf, sizeof(buf)), 0);
		if (rows[i][2] != NULL)
			assert_string_equal(buf, rows[i][2]);
		daos_ace_free(ace);
	}
}

static void
test_long_names(void **state)
{
	char str[DAOS_ACL_MAX_ACE_STR_LEN + 8];
	char name[DAOS_ACL_MAX_PRINCIPAL_LEN + 2];
	struct daos_ace *ace;

	memset(name, 'n', sizeof(name));
	name[DAOS_ACL_MAX_PRINCIPAL_LEN - 1] = '@';
	name[DAOS_ACL_MAX_PRINCIPAL_LEN] = '\0';
	assert_true(daos_acl_principal_is_valid(name));
	snprintf(str, sizeof(str), "A::%s:r", name);
	assert_int_equal(daos_ace_from_str(str, &ace), 0);
	assert_int_equal(daos_ace_get_size(ace), sizeof(*ace) + 256);
	daos_ace_free(ace);
	memcpy(name + DAOS_ACL_MAX_PRINCIPAL_LEN - 1, "n@", 3);
	assert_false(daos_acl_principal_is_valid(name));
	snprintf(str, sizeof(str), "A::%s:r", name);
	assert_int_equal(daos_ace_from_str(str, &ace), -DER_INVAL);
	/* Differing permissions have no text. */
	ace = daos_ace_create(DAOS_ACL_OWNER, NULL);
	ace->dae_access_types = DAOS_ACL_ACCESS_ALLOW | DAOS_ACL_ACCESS_AUDIT;
	ace->dae_access_flags = DAOS_ACL_FLAG_ACCESS_FAIL;
	ace->dae_allow_perms = DAOS_ACL_PERM_READ;
	assert_true(daos_ace_is_valid(ace));
	assert_int_equal(daos_ace_to_str(ace, str, sizeof(str)), -DER_INVAL);
	daos_ace_free(ace);
}

static void
test_list(void **state)
{
	static const char *const in[] = {
	    "A::EVERYONE@:r", "A:G:g2@:r", "A::u1@:rw", "A:G:GROUP@:rw",
	    "A::OWNER@:rw",   "A:G:g1@:r", NULL};
	static const char *const sorted[] = {
	    "A::OWNER@:rw",   "A::u1@:rw", "A:G:GROUP@:rw", "A:G:g2@:r", "A:G:g1@:r",
	    "A::EVERYONE@:r", NULL};
	static const char *const changed[] = {
	    "A::OWNER@:rw", "A::u1@:rw",      "A::u2@:r", "A:G:g2@:r",
	    "A:G:g1@:rwt",  "A::EVERYONE@:r", NULL};
	struct daos_acl *acl = acl_of(in);
	struct daos_acl *dup;
	struct daos_ace *ace;

	assert_int_equal(daos_acl_validate(acl), 0);
	assert_acl(acl, sorted);
	assert_int_equal(daos_acl_get_size(acl), sizeof(*acl) + acl->dal_len);
	dup = daos_acl_dup(acl);
	assert_memory_equal(dup, acl, daos_acl_get_size(acl));
	daos_acl_free(dup);

	assert_int_equal(daos_ace_from_str("A::u2@:r", &ace), 0);
	assert_int_equal(daos_acl_add_ace(&acl, ace), 0);
	daos_ace_free(ace);
	assert_int_equal(daos_ace_from_str("A:G:g1@:rwt", &ace), 0);
	assert_int_equal(daos_acl_add_ace(&acl, ace), 0);
	daos_ace_free(ace);
	assert_int_equal(daos_acl_remove_ace(&acl, DAOS_ACL_OWNER_GROUP, NULL), 0);
	assert_int_equal(daos_acl_remove_ace(&acl, DAOS_ACL_OWNER_GROUP, NULL), -DER_NONEXIST);
	assert_int_equal(daos_acl_remove_ace(&acl, DAOS_ACL_USER, NULL), -DER_INVAL);
	assert_int_equal(daos_acl_validate(acl), 0);
	assert_acl(acl, changed);
	assert_int_equal(daos_acl_get_ace_for_principal(acl, DAOS_ACL_GROUP, "g1@", &ace), 0);
	assert_string_equal(daos_ace_get_principal_str(ace), "g1@");
	assert_int_equal(daos_acl_get_ace_for_principal(acl, DAOS_ACL_USER, "g1@", &ace),
			 -DER_NONEXIST);
	assert_int_equal(daos_acl_get_ace_for_principal(acl, 77, "g1@", &ace), -DER_INVAL);
	daos_acl_free(acl);
	daos_acl_free(NULL);

	acl = daos_acl_create(NULL, 0);
	assert_int_equal(daos_acl_validate(acl), 0);
	assert_null(daos_acl_get_next_ace(acl, NULL));
	daos_acl_free(acl);
	assert_null(daos_ace_create(DAOS_ACL_USER, NULL));
	assert_null(daos_ace_create(DAOS_ACL_USER, "noat"));
}

static void
test_twins(void **state)
{
	const char *twins[] = {"A::u1@:r", "A::u2@:r", "A::u1@:w"};
	const char *owners[] = {"A::OWNER@:r", "A::OWNER@:w"};
	struct daos_acl *acl;

	assert_int_equal(daos_acl_from_strs(twins, 2, &acl), 0);
	daos_acl_free(acl);
	assert_int_equal(daos_acl_from_strs(twins, 3, &acl), -DER_INVAL);
	assert_int_equal(daos_acl_from_strs(owners, 2, &acl), -DER_INVAL);
	assert_int_equal(daos_acl_from_strs(owners, 0, &acl), -DER_INVAL);
}

/* Flip every byte of a good block in turn: no crash, and no read outside (under ASan). */
static void
test_corrupt(void **state)
{
	static const char *const in[] = {"A::OWNER@:rw", "A::u1@:rw", "A:G:g2@:r", NULL};
	struct daos_acl *acl = acl_of(in);
	size_t size = (size_t)daos_acl_get_size(acl);
	int refused = 0;
	size_t i;
	int bit;

	for (i = 0; i < size; i++)
		for (bit = 0; bit < 8; bit++) {
			uint8_t *copy = malloc(size);

			memcpy(copy, acl, size);
			copy[i] ^= 1 << bit;
			/* The reader checks that the block has the length it says. */
			if (sizeof(*acl) + ((struct daos_acl *)copy)->dal_len <= size)
				refused += daos_acl_validate((struct daos_acl *)copy) != 0;
			free(copy);
		}
	assert_true(refused > 100);
	daos_acl_free(acl);
}

static void
test_principals(void **state)
{
	enum daos_acl_principal_type type;
	char *name;
	uid_t uid;
	gid_t gid;

	assert_int_equal(daos_acl_principal_from_str("u:bob@", &type, &name), 0);
	assert_int_equal(type, DAOS_ACL_USER);
	assert_string_equal(name, "bob@");
	d_free(name);
	assert_int_equal(daos_acl_principal_from_str("g:staff@x", &type, &name), 0);
	assert_int_equal(type, DAOS_ACL_GROUP);
	assert_string_equal(name, "staff@x");
	d_free(name);
	assert_int_equal(daos_acl_principal_from_str("GROUP@", &type, &name), 0);
	assert_int_equal(type, DAOS_ACL_OWNER_GROUP);
	assert_null(name);
	assert_int_equal(daos_acl_principal_from_str("bob@", &type, &name), -DER_INVAL);
	assert_int_equal(daos_acl_principal_from_str("u:bob", &type, &name), -DER_INVAL);

	assert_int_equal(daos_acl_uid_to_principal(0, &name), 0);
	assert_string_equal(name, "root@");
	d_free(name);
	assert_int_equal(daos_acl_gid_to_principal(0, &name), 0);
	assert_string_equal(name, "root@");
	d_free(name);
	assert_int_equal(daos_acl_principal_to_uid("root@somewhere", &uid), 0);
	assert_int_equal(uid, 0);
	assert_int_equal(daos_acl_principal_to_gid("root@", &gid), 0);
	assert_int_equal(gid, 0);
	assert_int_equal(daos_acl_principal_to_uid("no-such-user-here@", &uid), -DER_NONEXIST);
	assert_int_equal(daos_acl_principal_to_uid("root", &uid), -DER_INVAL);
	assert_int_equal(daos_acl_uid_to_principal(3999999999u, &name), -DER_NONEXIST);
}

static void
test_stream(void **state)
{
	static const char *const in[] = {"A::OWNER@:rw", "A:G:g@:r", NULL};
	struct daos_acl *acl = acl_of(in);
	char *text = NULL;
	size_t size;
	FILE *stream = open_memstream(&text, &size);

	assert_int_equal(daos_acl_to_stream(stream, acl, true), 0);
	assert_int_equal(daos_acl_to_stream(stream, NULL, true), 0);
	fclose(stream);
	assert_string_equal(text, "# Entries:\n# Allow::Owner:Read/Write\nA::OWNER@:rw\n"
				  "# Allow:Group:g@:Read\nA:G:g@:r\n# Entries:\n#   None\n");
	free(text);
	daos_acl_free(acl);
}

static void
test_eval(void **state)
{
	static const char *const in[] = {
	    "A::OWNER@:r", "A::u1@:w",       "A::u2@:", "A:G:GROUP@:rt",
	    "A:G:g1@:w",   "A::EVERYONE@:t", NULL};
	static const char *const no_owner[] = {"A::EVERYONE@:r", NULL};
	struct daos_acl *acl = acl_of(in);
	const char *groups[] = {"g0@", "g1@", "og@"};
	struct acl_who who = {.user = "boss@", .groups = groups, .group_nr = 3};

	/* The owner's entry decides alone, even if groups would give more. */
	assert_int_equal(acl_perms(acl, "boss@", "og@", &who), DAOS_ACL_PERM_READ);
	assert_int_equal(acl_cont_perms(acl, "boss@", "og@", &who),
			 DAOS_ACL_PERM_READ | DAOS_ACL_PERM_GET_ACL | DAOS_ACL_PERM_SET_ACL);
	assert_int_equal(acl_pool_perms(acl, "boss@", "og@", &who),
			 DAOS_ACL_PERM_READ | DAOS_ACL_PERM_GET_PROP);
	who.user = "u1@";
	assert_int_equal(acl_perms(acl, "boss@", "og@", &who), DAOS_ACL_PERM_WRITE);
	assert_int_equal(acl_pool_perms(acl, "boss@", "og@", &who),
			 DAOS_ACL_PERM_WRITE | DAOS_ACL_PERM_CREATE_CONT | DAOS_ACL_PERM_DEL_CONT);
	/* An empty entry denies. */
	who.user = "u2@";
	assert_int_equal(acl_perms(acl, "boss@", "og@", &who), 0);
	/* Groups add up, and hide everyone's entry. */
	who.user = "u3@";
	assert_int_equal(acl_perms(acl, "boss@", "og@", &who),
			 DAOS_ACL_PERM_READ | DAOS_ACL_PERM_GET_PROP | DAOS_ACL_PERM_WRITE);
	who.group_nr = 2;
	assert_int_equal(acl_perms(acl, "boss@", "og@", &who), DAOS_ACL_PERM_WRITE);
	who.group_nr = 1;
	assert_int_equal(acl_perms(acl, "boss@", "og@", &who), DAOS_ACL_PERM_GET_PROP);
	assert_int_equal(acl_perms(NULL, "boss@", "og@", &who), 0);
	daos_acl_free(acl);
	/* No entry for the owner: the rules below apply to him. */
	acl = acl_of(no_owner);
	who.user = "boss@";
	assert_int_equal(acl_perms(acl, "boss@", "og@", &who), DAOS_ACL_PERM_READ);
	daos_acl_free(acl);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_text),    cmocka_unit_test(test_long_names),
	    cmocka_unit_test(test_list),    cmocka_unit_test(test_twins),
	    cmocka_unit_test(test_corrupt), cmocka_unit_test(test_principals),
	    cmocka_unit_test(test_stream),  cmocka_unit_test(test_eval),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
