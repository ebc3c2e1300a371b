/*
 * Property lists: descriptions, validation, copies, merging, text; helpers of daos/common.h.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <daos/common.h>
#include <daos_api.h>

#include "client/common/prop_desc.h"

static uint64_t
num_of(daos_prop_t *prop, uint32_t type)
{
	struct daos_prop_entry *entry = daos_prop_entry_get(prop, type);

	assert_non_null(entry);
	return entry->dpe_val;
}

static void
test_table(void **state)
{
	int pool;
	size_t nr;
	size_t i;

	for (pool = 0; pool < 2; pool++) {
		const struct prop_desc *descs = prop_descs(pool, &nr);

		for (i = 0; i < nr; i++) {
			const struct prop_word *word;
			uint64_t val;
			char buf[64];

			assert_ptr_equal(prop_desc_of(descs[i].type), &descs[i]);
			assert_int_equal(descs[i].type,
					 (pool ? DAOS_PROP_PO_MIN : DAOS_PROP_CO_MIN) + 1 + i);
			assert_ptr_equal(
			    prop_desc_named(pool, descs[i].name, strlen(descs[i].name)), &descs[i]);
			if (descs[i].kind == PROP_NUM && (descs[i].flags & PROP_CREATE))
				assert_true(prop_num_is_valid(&descs[i], descs[i].dflt));
			/* Every word parses to its value, and prints back if it is one word. */
			for (word = descs[i].words; word != NULL && word->word != NULL; word++) {
				assert_int_equal(
				    prop_num_parse(&descs[i], word->word, strlen(word->word), &val),
				    0);
				assert_true(val == word->val);
				prop_num_print(&descs[i], val, buf, sizeof(buf));
				assert_int_equal(strcasecmp(buf, word->word), 0);
			}
		}
	}
	assert_null(prop_desc_of(0));
	assert_null(prop_desc_of(DAOS_PROP_PO_MAX));
	assert_null(prop_desc_of(DAOS_PROP_CO_MIN));
	assert_null(prop_desc_of(DAOS_PROP_CO_MAX));
	assert_null(prop_desc_named(true, "cksum", 5));
}

static void
test_numbers(void **state)
{
	static const struct {
		bool pool;
		const char *name;
		const char *text;
		bool good;
		uint64_t val;
	} rows[] = {
	    {false, "ec_cell_sz", "131072", true, 131072},
	    {false, "ec_cell_sz", "64KiB", true, 65536},
	    {false, "ec_cell_sz", "64k", true, 65536},
	    {false, "ec_cell_sz", "64 KB", true, 64000},
	    {false, "ec_cell_sz", "1MiB", true, 1048576},
	    {false, "ec_cell_sz", "1G", false},
	    {false, "ec_cell_sz", "4097", false},
	    {false, "ec_cell_sz", "64Q", false},
	    {false, "ec_cell_sz", "64KX", false},
	    {false, "ec_cell_sz", "", false},
	    {false, "rd_fac", "4", true, 4},
	    {false, "RF", "2", true, 2},
	    {false, "rd_fac", "5", false},
	    {false, "rd_fac", "1k", false},
	    {false, "rd_fac", "-1", false},
	    {false, "rd_lvl", "rank", true, 1},
	    {false, "rd_lvl", "2", true, 2},
	    {false, "cksum", "CRC32", true, DAOS_PROP_CO_CSUM_CRC32},
	    {false, "cksum", "crc33", false},
	    {false, "srv_cksum", "on", true, 1},
	    {false, "perf_domain", "201", false},
	    {false, "status", "0", false},
	    {false, "ec_pda", "4294967295", true, UINT32_MAX},
	    {false, "ec_pda", "4294967296", false},
	    {true, "self_heal", "exclude;rebuild", true, 3},
	    {true, "self_heal", "delay_rebuild;exclude", true, 5},
	    {true, "self_heal", "exclude;nothing", false},
	    {true, "space_rb", "10%", true, 10},
	    {true, "space_rb", "101", false},
	    {true, "scrub_freq", "18446744073709551615", true, UINT64_MAX},
	    {true, "scrub_freq", "18446744073709551616", false},
	    {true, "reclaim", "time", true, DAOS_RECLAIM_TIME},
	};
	char buf[8];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		const struct prop_desc *desc =
		    prop_desc_named(rows[i].pool, rows[i].name, strlen(rows[i].name));
		uint64_t val = 77;
		int rc;

		assert_non_null(desc);
		rc = prop_num_parse(desc, rows[i].text, strlen(rows[i].text), &val);
		if ((rc == 0) != rows[i].good)
			print_error("%s:%s gives %d\n", rows[i].name, rows[i].text, rc);
		assert_int_equal(rc, rows[i].good ? 0 : -DER_INVAL);
		if (rows[i].good)
			assert_true(val == rows[i].val);
	}
	/* A buffer too small, as with snprintf(). */
	assert_int_equal(prop_num_print(prop_desc_of(DAOS_PROP_PO_SELF_HEAL), 3, buf, sizeof(buf)),
			 15);
	assert_string_equal(buf, "exclude");
	prop_num_print(prop_desc_of(DAOS_PROP_CO_STATUS),
		       DAOS_PROP_CO_STATUS_VAL(DAOS_PROP_CO_UNCLEAN, 0, 9), buf, sizeof(buf));
	assert_string_equal(buf, "UNCLEAN");
}

static void
test_from_str(void **state)
{
	static const char *const bad[] = {
	    "rd_fac",    "rd_fac:",           "nothing:1",
	    "owner:me@", "rd_fac:1;rd_fac:2", ";",
	    "label:a b", "status:healthy",    "rd_fac:1;;cksum:crc31",
	};
	const char *str = "label:my-cont;rd_fac:2;ec_cell_sz:131072;cksum:crc32;srv_cksum:on;";
	daos_prop_t *prop = NULL;
	size_t i;

	assert_int_equal(daos_prop_from_str(str, strlen(str), &prop), 0);
	assert_int_equal(prop->dpp_nr, 5);
	assert_string_equal(daos_prop_entry_get(prop, DAOS_PROP_CO_LABEL)->dpe_str, "my-cont");
	assert_int_equal(num_of(prop, DAOS_PROP_CO_REDUN_FAC), 2);
	assert_int_equal(num_of(prop, DAOS_PROP_CO_EC_CELL_SZ), 131072);
	assert_int_equal(num_of(prop, DAOS_PROP_CO_CSUM), DAOS_PROP_CO_CSUM_CRC32);
	assert_int_equal(num_of(prop, DAOS_PROP_CO_CSUM_SERVER_VERIFY), 1);
	daos_prop_free(prop);
	for (i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(daos_prop_from_str(bad[i], strlen(bad[i]), &prop), -DER_INVAL);
	assert_int_equal(daos_prop_from_str(NULL, 3, &prop), -DER_INVAL);
	assert_int_equal(daos_prop_from_str(str, 0, &prop), -DER_INVAL);
}

/* One entry of each kind of value. */
static daos_prop_t *
sample(void)
{
	const char *aces[] = {"A::OWNER@:rw", "A::bob@:r"};
	struct daos_prop_co_roots roots = {.cr_oids = {{.lo = 1, .hi = 2}}};
	daos_prop_t *prop = daos_prop_alloc(5);
	struct daos_acl *acl;

	prop->dpp_entries[0].dpe_type = DAOS_PROP_CO_LABEL;
	prop->dpp_entries[1].dpe_type = DAOS_PROP_CO_ACL;
	prop->dpp_entries[2].dpe_type = DAOS_PROP_CO_ROOTS;
	prop->dpp_entries[3].dpe_type = DAOS_PROP_CO_REDUN_FAC;
	prop->dpp_entries[3].dpe_val = 2;
	prop->dpp_entries[4].dpe_type = DAOS_PROP_CO_OWNER;
	assert_int_equal(daos_acl_from_strs(aces, 2, &acl), 0);
	assert_int_equal(daos_prop_set_str(prop, DAOS_PROP_CO_LABEL, "label", 5), 0);
	assert_int_equal(daos_prop_set_str(prop, DAOS_PROP_CO_OWNER, "bob@", 4), 0);
	assert_int_equal(
	    daos_prop_set_ptr(prop, DAOS_PROP_CO_ACL, acl, (daos_size_t)daos_acl_get_size(acl)), 0);
	assert_int_equal(daos_prop_set_ptr(prop, DAOS_PROP_CO_ROOTS, &roots, sizeof(roots)), 0);
	daos_acl_free(acl);
	return prop;
}

static void
test_lists(void **state)
{
	daos_prop_t *prop = sample();
	daos_prop_t *req;
	daos_prop_t *dup;

	assert_true(daos_prop_valid(prop, false, true));
	assert_false(daos_prop_valid(prop, true, true));
	assert_false(daos_prop_valid(NULL, false, true));
	assert_int_equal(daos_prop_set_str(prop, DAOS_PROP_CO_REDUN_FAC, "x", 1), -DER_INVAL);
	assert_int_equal(daos_prop_set_str(prop, DAOS_PROP_CO_OWNER_GROUP, "x", 1), -DER_NONEXIST);
	assert_int_equal(daos_prop_set_ptr(prop, DAOS_PROP_CO_LABEL, "x", 1), -DER_INVAL);

	dup = daos_prop_dup(prop, false, true);
	assert_non_null(dup);
	assert_string_equal(daos_prop_entry_get(dup, DAOS_PROP_CO_LABEL)->dpe_str, "label");
	assert_ptr_not_equal(daos_prop_entry_get(dup, DAOS_PROP_CO_LABEL)->dpe_str,
			     daos_prop_entry_get(prop, DAOS_PROP_CO_LABEL)->dpe_str);
	assert_int_equal(daos_prop_entry_cmp_acl(daos_prop_entry_get(dup, DAOS_PROP_CO_ACL),
						 daos_prop_entry_get(prop, DAOS_PROP_CO_ACL)),
			 0);

	/* Values out of range are refused on input only. */
	daos_prop_entry_get(dup, DAOS_PROP_CO_REDUN_FAC)->dpe_val = 9;
	assert_false(daos_prop_valid(dup, false, true));
	assert_true(daos_prop_valid(dup, false, false));
	assert_null(daos_prop_dup(dup, false, true));
	daos_prop_free(dup);

	/* A request by type, one for everything, and one for too much. */
	req = daos_prop_alloc(2);
	req->dpp_entries[0].dpe_type = DAOS_PROP_CO_REDUN_FAC;
	req->dpp_entries[1].dpe_type = DAOS_PROP_CO_LABEL;
	assert_int_equal(daos_prop_copy(req, prop), 0);
	assert_int_equal(daos_prop_copy(req, prop), 0);
	assert_int_equal(num_of(req, DAOS_PROP_CO_REDUN_FAC), 2);
	assert_string_equal(req->dpp_entries[1].dpe_str, "label");
	req->dpp_entries[0].dpe_type = DAOS_PROP_CO_DEDUP;
	assert_int_equal(daos_prop_copy(req, prop), -DER_NONEXIST);
	daos_prop_free(req);
	req = daos_prop_alloc(0);
	assert_int_equal(daos_prop_copy(req, prop), 0);
	assert_int_equal(req->dpp_nr, 5);
	daos_prop_free(req);

	/* Twice the same type. */
	prop->dpp_entries[3].dpe_type = DAOS_PROP_CO_DEDUP;
	prop->dpp_entries[3].dpe_val = 0;
	assert_true(daos_prop_valid(prop, false, true));
	daos_prop_set_str(prop, DAOS_PROP_CO_OWNER, "not-a-principal", 15);
	assert_false(daos_prop_valid(prop, false, true));
	daos_prop_free(prop);
	daos_prop_free(NULL);
	assert_null(daos_prop_alloc(DAOS_PROP_ENTRIES_MAX_NR + 1));
}

static void
test_merge(void **state)
{
	daos_prop_t *old = sample();
	daos_prop_t *new = daos_prop_alloc(2);
	daos_prop_t *merged;
	d_rank_list_t *ranks;
	daos_prop_t *pool;

	new->dpp_entries[0].dpe_type = DAOS_PROP_CO_LABEL;
	new->dpp_entries[1].dpe_type = DAOS_PROP_CO_DEDUP;
	new->dpp_entries[1].dpe_val = DAOS_PROP_CO_DEDUP_HASH;
	daos_prop_set_str(new, DAOS_PROP_CO_LABEL, "other", 5);
	merged = daos_prop_merge(old, new);
	assert_non_null(merged);
	daos_prop_free(old);
	daos_prop_free(new);
	assert_int_equal(merged->dpp_nr, 6);
	assert_true(daos_prop_valid(merged, false, true));
	assert_string_equal(daos_prop_entry_get(merged, DAOS_PROP_CO_LABEL)->dpe_str, "other");
	assert_int_equal(num_of(merged, DAOS_PROP_CO_DEDUP), DAOS_PROP_CO_DEDUP_HASH);
	assert_int_equal(num_of(merged, DAOS_PROP_CO_REDUN_FAC), 2);
	daos_prop_free(merged);
	assert_null(daos_prop_merge(NULL, NULL));

	/* A list of ranks as value. */
	pool = daos_prop_alloc(1);
	pool->dpp_entries[0].dpe_type = DAOS_PROP_PO_SVC_LIST;
	ranks = d_rank_list_alloc(3);
	assert_int_equal(daos_prop_set_ptr(pool, DAOS_PROP_PO_SVC_LIST, ranks, sizeof(*ranks)), 0);
	d_rank_list_free(ranks);
	merged = daos_prop_dup(pool, true, false);
	ranks = daos_prop_entry_get(merged, DAOS_PROP_PO_SVC_LIST)->dpe_val_ptr;
	assert_int_equal(ranks->rl_nr, 3);
	daos_prop_free(merged);
	daos_prop_free(pool);
}

static void
test_misc(void **state)
{
	char trim[] = " \t a b \n";
	char empty[] = "  ";
	char name[10];
	daos_cont_layout_t type;
	d_rank_list_t *ranks;
	d_sg_list_t sgl;
	d_sg_list_t copy;
	struct timespec ts;
	time_t t;
	int i;

	ranks = daos_rank_list_parse("1:2:15", ":");
	assert_int_equal(ranks->rl_nr, 3);
	assert_int_equal(ranks->rl_ranks[2], 15);
	d_rank_list_free(ranks);
	assert_null(daos_rank_list_parse("1:x", ":"));
	assert_null(daos_rank_list_parse("1,2", ":"));
	assert_null(daos_rank_list_parse("4294967296", ":"));

	assert_string_equal(daos_str_trimwhite(trim), "a b");
	assert_null(daos_str_trimwhite(empty));
	daos_parse_ctype("posix", &type);
	assert_int_equal(type, DAOS_PROP_CO_LAYOUT_POSIX);
	daos_parse_ctype("what", &type);
	assert_int_equal(type, DAOS_PROP_CO_LAYOUT_UNKNOWN);
	for (i = 1; i < DAOS_PROP_CO_LAYOUT_MAX; i++) {
		daos_unparse_ctype((daos_cont_layout_t)i, name);
		daos_parse_ctype(name, &type);
		assert_int_equal(type, i);
	}
	daos_unparse_ctype(0, name);
	assert_string_equal(name, "unknown");

	assert_int_equal(daos_hlc2timespec(d_sec2hlc(5), &ts), 0);
	assert_int_equal(daos_hlc2timestamp(d_sec2hlc(5), &t), 0);
	assert_true(t == 1609459205 && ts.tv_sec == t && ts.tv_nsec == 0);
	assert_int_equal(daos_hlc2timestamp(5, NULL), -DER_INVAL);

	assert_int_equal(d_sgl_init(&sgl, 2), 0);
	assert_int_equal(daos_iov_alloc(&sgl.sg_iovs[0], 8, true), 0);
	assert_int_equal(daos_iov_alloc(&sgl.sg_iovs[1], 8, false), 0);
	daos_iov_append(&sgl.sg_iovs[1], name, 3);
	assert_int_equal(daos_sgl_data_len(&sgl, false), 11);
	assert_int_equal(daos_sgl_buf_size(&sgl), 16);
	assert_int_equal(daos_sgl_alloc_copy_data(&copy, &sgl), 0);
	assert_true(daos_iov_cmp(&copy.sg_iovs[1], &sgl.sg_iovs[1]));
	d_sgl_fini(&sgl, true);
	d_sgl_fini(&copy, true);
}

static void
test_errno(void **state)
{
	/* What goes to errno and back. */
	static const int both[] = {DER_NO_PERM, DER_INVAL, DER_EXIST,       DER_NONEXIST,
				   DER_NOSPACE, DER_NOMEM, DER_TIMEDOUT,    DER_BUSY,
				   DER_AGAIN,   DER_PROTO, DER_OVERFLOW,    DER_CANCELED,
				   DER_NOTDIR,  DER_IO,    DER_NOTSUPPORTED};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(both); i++)
		assert_int_equal(daos_errno2der(daos_der2errno(-both[i])), -both[i]);
	assert_int_equal(daos_der2errno(0), 0);
	assert_int_equal(daos_errno2der(0), 0);
	assert_int_equal(daos_der2errno(-DER_NO_HDL), EINVAL);
	assert_int_equal(daos_der2errno(-DER_STALE), ESTALE);
	assert_int_equal(daos_der2errno(-DER_TX_RESTART), ERESTART);
	assert_int_equal(daos_der2errno(-DER_REC2BIG), E2BIG);
	assert_int_equal(daos_der2errno(-DER_EQ_BUSY), EBUSY);
	assert_int_equal(daos_der2errno(-DER_DOS), ENOMEM);
	assert_int_equal(daos_der2errno(-DER_NOSYS), EIO);
	assert_int_equal(daos_der2errno(-999999), EIO);
	assert_int_equal(daos_errno2der(EBADF), -DER_NO_HDL);
	assert_int_equal(daos_errno2der(ENOSYS), -DER_NOSYS);
	assert_int_equal(daos_errno2der(EXDEV), -DER_MISC);
}

static char commands[256];

static int
on_command(char opc, char *args)
{
	char text[64];

	snprintf(text, sizeof(text), "%c(%s)", opc, args != NULL ? args : "");
	strncat(commands, text, sizeof(commands) - strlen(commands) - 1);
	return opc == 'x' ? -DER_IO : 0;
}

static int
parse_commands(const char *input)
{
	static struct option opts[] = {{"list", no_argument, NULL, 'l'},
				       {"open", required_argument, NULL, 'o'},
				       {"exit", no_argument, NULL, 'x'},
				       {NULL, 0, NULL, 0}};
	FILE *old_in = stdin;
	FILE *old_out = stdout;
	int rc;

	commands[0] = '\0';
	stdin = fmemopen((char *)input, strlen(input), "r");
	stdout = fopen("/dev/null", "w");
	rc = cmd_parser(opts, "> ", on_command);
	fclose(stdin);
	fclose(stdout);
	stdin = old_in;
	stdout = old_out;
	return rc;
}

static void
test_cmd_parser(void **state)
{
	assert_int_equal(parse_commands("list\n\n  o  a b \nopen\nnothing\nl ignored\nquit\nl\n"),
			 0);
	assert_string_equal(commands, "l()o(a b)l()");
	assert_int_equal(parse_commands("l\nx\nl\n"), -DER_IO);
	assert_string_equal(commands, "l()x()");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_table),    cmocka_unit_test(test_numbers),
	    cmocka_unit_test(test_from_str), cmocka_unit_test(test_lists),
	    cmocka_unit_test(test_merge),    cmocka_unit_test(test_misc),
	    cmocka_unit_test(test_errno),    cmocka_unit_test(test_cmd_parser),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
