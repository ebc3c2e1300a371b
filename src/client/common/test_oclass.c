/*
 * Object class names, and the automatic choice by the documented table.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "client/common/oclass.h"

static void
test_names(void **state)
{
	/* Ids that job scripts and stored objects depend on. */
	static const struct {
		const char *name;
		uint32_t cid;
	} rows[] = {
	    {"S1", 16777217},           {"SX", 16842751},
	    {"S6", 16777222},           {"RP_2G1", 134217729},
	    {"RP_3G1", 150994945},      {"RP_4G1", 167772161},
	    {"EC_2P1G1", 0x20000001},   {"EC_4P3GX", 0x2800ffff},
	    {"EC_16P1G32", 0x26000020}, {"EC_16P2GX", 654376959},
	    {"EC_16P2G32", 654311456},  {"EC_16P3GX", 704708607},
	    {"EC_16P3G32", 704643104},  {"RP_XSF", 80},
	};
	static const char *const bad[] = {"",          "S",        "S3",      "s1",
					  "SXX",       "RP_2G",    "RP_7G1",  "EC_16P3G24",
					  "ec_16p3gx", "EC_2P1G6", "UNKNOWN", "RP_8G1"};
	char name[MAX_OBJ_CLASS_NAME_LEN];
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_int_equal(oclass_from_name(rows[i].name), rows[i].cid);
		assert_int_equal(oclass_to_name(rows[i].cid, name), 0);
		assert_string_equal(name, rows[i].name);
	}
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(oclass_from_name(bad[i]), OC_UNKNOWN);
	assert_int_equal(oclass_from_name(NULL), OC_UNKNOWN);
	/* Ids without a registered name print too. */
	assert_int_equal(oclass_to_name(OC_EC_2P1G6, name), 0);
	assert_string_equal(name, "EC_2P1G6");
	assert_int_equal(oclass_to_name(OBJ_CLASS_DEF(OR_RP_3, 37), name), 0);
	assert_string_equal(name, "RP_3G37");
	assert_int_equal(oclass_to_name(OC_UNKNOWN, name), -1);
	assert_string_equal(name, "UNKNOWN");
	assert_int_equal(oclass_to_name(OBJ_CLASS_DEF(OR_RP_3, 0), name), -1);
	assert_int_equal(oclass_to_name(0x7f000001, name), -1);
}

static void
test_list(void **state)
{
	char str[4096];
	char *tok;
	char *save;
	ssize_t len;
	int nr = 0;

	assert_int_equal(oclass_names_nr(), 143);
	len = oclass_names(sizeof(str), str);
	assert_int_equal(len, strlen(str));
	assert_int_equal(oclass_names((size_t)len, str), -DER_OVERFLOW);
	assert_int_equal(oclass_names(0, str), -DER_INVAL);
	assert_int_equal(oclass_names((size_t)len + 1, str), len);
	for (tok = strtok_r(str, ", ", &save); tok != NULL; tok = strtok_r(NULL, ", ", &save)) {
		char name[MAX_OBJ_CLASS_NAME_LEN];

		assert_int_not_equal(oclass_from_name(tok), OC_UNKNOWN);
		oclass_to_name(oclass_from_name(tok), name);
		assert_string_equal(name, tok);
		nr++;
	}
	assert_int_equal(nr, 143);
}

static void
test_attr(void **state)
{
	struct daos_oclass_attr attr;

	assert_int_equal(oclass_attr(OC_RP_3GX, &attr), 0);
	assert_int_equal(attr.ca_resil, DAOS_RES_REPL);
	assert_int_equal(attr.ca_resil_degree, 2);
	assert_int_equal(attr.ca_grp_nr, MAX_NUM_GROUPS);
	assert_int_equal(attr.u.rp.r_num, 3);
	assert_int_equal(oclass_attr(OC_EC_8P2G4, &attr), 0);
	assert_int_equal(attr.ca_resil, DAOS_RES_EC);
	assert_int_equal(attr.ca_resil_degree, 2);
	assert_int_equal(attr.u.ec.e_k, 8);
	assert_int_equal(attr.u.ec.e_p, 2);
	assert_int_equal(oclass_group_size(OC_EC_16P3GX), 19);
	assert_int_equal(oclass_group_size(OC_S1), 1);
	assert_int_equal(oclass_group_size(OC_UNKNOWN), 0);
	assert_int_equal(oclass_attr(OC_UNKNOWN, &attr), -DER_INVAL);
}

#define GX MAX_NUM_GROUPS

static void
test_choose(void **state)
{
	static const struct {
		uint32_t rd_fac;
		uint32_t domain_nr;
		uint32_t target_nr;
		enum daos_otype_t type;
		uint32_t hints;
		daos_oclass_id_t want; /* 0: refused */
	} rows[] = {
	    /* No redundancy. */
	    {0, 1, 8, DAOS_OT_ARRAY_BYTE, 0, OC_SX},
	    {0, 1, 8, DAOS_OT_KV_HASHED, 0, OC_SX},
	    {0, 1, 8, DAOS_OT_MULTI_HASHED, 0, OC_S1},
	    {0, 4, 8, DAOS_OT_MULTI_HASHED, DAOS_OCH_RDD_RP, OC_RP_2G1},
	    {0, 1, 8, DAOS_OT_MULTI_HASHED, DAOS_OCH_RDD_RP, OC_S1},
	    {0, 18, 18, DAOS_OT_ARRAY, DAOS_OCH_RDD_EC, OC_EC_16P1GX},
	    {0, 5, 8, DAOS_OT_ARRAY, DAOS_OCH_RDD_EC, OC_EC_2P1GX},
	    {0, 2, 8, DAOS_OT_ARRAY, DAOS_OCH_RDD_EC, 0},
	    /* One failure: erasure code by domains, for arrays. */
	    {1, 2, 16, DAOS_OT_ARRAY_BYTE, 0, OC_RP_2GX},
	    {1, 3, 16, DAOS_OT_ARRAY_BYTE, 0, OC_EC_2P1GX},
	    {1, 5, 16, DAOS_OT_ARRAY_BYTE, 0, OC_EC_2P1GX},
	    {1, 6, 16, DAOS_OT_ARRAY_ATTR, 0, OC_EC_4P1GX},
	    {1, 10, 16, DAOS_OT_ARRAY_BYTE, 0, OC_EC_8P1GX},
	    {1, 18, 36, DAOS_OT_ARRAY_BYTE, 0, OC_EC_16P1GX},
	    {1, 18, 36, DAOS_OT_MULTI_HASHED, 0, OC_RP_2G1},
	    {1, 18, 36, DAOS_OT_KV_LEXICAL, 0, OC_RP_2GX},
	    {1, 18, 36, DAOS_OT_ARRAY_BYTE, DAOS_OCH_RDD_RP, OC_RP_2GX},
	    {1, 18, 36, DAOS_OT_ARRAY_BYTE, DAOS_OCH_RDD_DEF, OC_EC_16P1GX},
	    {1, 18, 36, DAOS_OT_MULTI_HASHED, DAOS_OCH_RDD_EC, OC_EC_16P1G1},
	    {1, 1, 16, DAOS_OT_MULTI_HASHED, 0, 0},
	    /* Two failures: the files and directories of job scripts. */
	    {2, 20, 40, DAOS_OT_ARRAY_BYTE, 0, OC_EC_16P2GX},
	    {2, 20, 40, DAOS_OT_MULTI_HASHED, 0, OC_RP_3G1},
	    {2, 19, 40, DAOS_OT_ARRAY_BYTE, 0, OC_EC_8P2GX},
	    {2, 8, 40, DAOS_OT_ARRAY_BYTE, 0, OC_EC_4P2GX},
	    {2, 4, 40, DAOS_OT_ARRAY_BYTE, 0, OC_EC_2P2GX},
	    {2, 3, 40, DAOS_OT_ARRAY_BYTE, 0, OC_RP_3GX},
	    {2, 2, 40, DAOS_OT_ARRAY_BYTE, 0, 0},
	    /* Three. */
	    {3, 22, 44, DAOS_OT_ARRAY_BYTE, 0, OC_EC_16P3GX},
	    {3, 22, 44, DAOS_OT_MULTI_HASHED, 0, OC_RP_4G1},
	    {3, 14, 44, DAOS_OT_ARRAY_BYTE, 0, OC_EC_8P3GX},
	    {3, 10, 44, DAOS_OT_ARRAY_BYTE, 0, OC_EC_4P3GX},
	    {3, 9, 44, DAOS_OT_ARRAY_BYTE, 0, OC_RP_4GX},
	    /* Four: never erasure code. */
	    {4, 32, 64, DAOS_OT_ARRAY_BYTE, DAOS_OCH_RDD_EC, OC_RP_5GX},
	    {5, 32, 64, DAOS_OT_ARRAY_BYTE, 0, 0},
	    /* Spread. */
	    {0, 8, 4096, DAOS_OT_ARRAY_BYTE, DAOS_OCH_SHD_TINY, OC_S1},
	    {0, 8, 4096, DAOS_OT_MULTI_HASHED, DAOS_OCH_SHD_MAX, OC_SX},
	    {0, 8, 256, DAOS_OT_ARRAY_BYTE, DAOS_OCH_SHD_REG, OBJ_CLASS_DEF(OR_RP_1, 128)},
	    {0, 8, 4096, DAOS_OT_ARRAY_BYTE, DAOS_OCH_SHD_REG, OBJ_CLASS_DEF(OR_RP_1, 1024)},
	    {0, 8, 4096, DAOS_OT_ARRAY_BYTE, DAOS_OCH_SHD_HI, OBJ_CLASS_DEF(OR_RP_1, 2048)},
	    {0, 8, 4096, DAOS_OT_ARRAY_BYTE, DAOS_OCH_SHD_EXT, OBJ_CLASS_DEF(OR_RP_1, 2867)},
	    {0, 8, 64, DAOS_OT_ARRAY_BYTE, DAOS_OCH_SHD_REG, OC_SX},
	    {1, 8, 200, DAOS_OT_KV_HASHED, DAOS_OCH_SHD_REG, OC_RP_2GX},
	    {0, 8, 64, DAOS_OT_ARRAY_BYTE, DAOS_OCH_SHD_REG | DAOS_OCH_SHD_HI, 0},
	    {0, 8, 64, DAOS_OT_ARRAY_BYTE, DAOS_OCH_RDD_RP | DAOS_OCH_RDD_EC, 0},
	};
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct oclass_env env = {.rd_fac = rows[i].rd_fac,
					 .domain_nr = rows[i].domain_nr,
					 .target_nr = rows[i].target_nr};
		daos_oclass_id_t cid = 0;
		int rc =
		    oclass_choose(&env, rows[i].type, (daos_oclass_hints_t)rows[i].hints, &cid);

		if (cid != rows[i].want)
			print_error("row %zu: %#x instead of %#x\n", i, cid, rows[i].want);
		assert_int_equal(cid, rows[i].want);
		assert_int_equal(rc, rows[i].want == 0 ? -DER_INVAL : 0);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_names),
	    cmocka_unit_test(test_list),
	    cmocka_unit_test(test_attr),
	    cmocka_unit_test(test_choose),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
