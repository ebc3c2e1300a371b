/*
 * The inline functions and macros of the client headers.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <daos.h>
#include <daos_fs.h>
#include <daos_task.h>

static void
test_oid(void **state)
{
	daos_obj_id_t oid = {.lo = 5, .hi = 0};
	daos_obj_id_t nil = DAOS_OBJ_NIL;
	int i;

	assert_true(daos_obj_id_is_nil(nil));
	assert_false(daos_obj_id_is_nil(oid));
	oid.hi = ((uint64_t)DAOS_OT_ARRAY_BYTE << OID_FMT_TYPE_SHIFT) |
		 ((uint64_t)OR_RS_16P2 << OID_FMT_CLASS_SHIFT) | (77ULL << OID_FMT_META_SHIFT) | 9;
	assert_int_equal(daos_obj_id2type(oid), DAOS_OT_ARRAY_BYTE);
	assert_int_equal(daos_obj_id2ord(oid), OR_RS_16P2);
	assert_int_equal(daos_obj_id2grp_nr(oid), 77);
	assert_int_equal(daos_obj_id2class(oid), OBJ_CLASS_DEF(OR_RS_16P2, 77));
	assert_true(daos_is_array(oid) && daos_is_dkey_uint64(oid) && !daos_is_kv(oid));
	daos_obj_oid_cycle(&oid);
	assert_true(oid.hi == 9 + 999999937ULL);
	for (i = 0; i < 5; i++)
		daos_obj_oid_cycle(&oid);
	assert_true(oid.hi == (9 + 6 * 999999937ULL) % (1ULL << 32));

	/* Kinds of keys by type: columns lexical dkey, lexical akey, integer dkey, integer akey,
	 * kv. */
	static const struct {
		enum daos_otype_t type;
		bool kinds[5];
	} rows[] = {
	    {DAOS_OT_MULTI_HASHED, {0, 0, 0, 0, 0}},  {DAOS_OT_DKEY_UINT64, {0, 0, 1, 0, 0}},
	    {DAOS_OT_AKEY_UINT64, {0, 0, 0, 1, 0}},   {DAOS_OT_MULTI_UINT64, {0, 0, 1, 1, 0}},
	    {DAOS_OT_DKEY_LEXICAL, {1, 0, 0, 0, 0}},  {DAOS_OT_AKEY_LEXICAL, {0, 1, 0, 0, 0}},
	    {DAOS_OT_MULTI_LEXICAL, {1, 1, 0, 0, 0}}, {DAOS_OT_KV_HASHED, {0, 0, 0, 0, 1}},
	    {DAOS_OT_KV_UINT64, {0, 0, 1, 0, 1}},     {DAOS_OT_KV_LEXICAL, {1, 0, 0, 0, 1}},
	    {DAOS_OT_ARRAY, {0, 0, 1, 0, 0}},         {DAOS_OT_ARRAY_ATTR, {0, 0, 1, 0, 0}},
	};
	for (i = 0; i < (int)(sizeof(rows) / sizeof(rows[0])); i++) {
		assert_int_equal(daos_is_dkey_lexical_type(rows[i].type), rows[i].kinds[0]);
		assert_int_equal(daos_is_akey_lexical_type(rows[i].type), rows[i].kinds[1]);
		assert_int_equal(daos_is_dkey_uint64_type(rows[i].type), rows[i].kinds[2]);
		assert_int_equal(daos_is_akey_uint64_type(rows[i].type), rows[i].kinds[3]);
		assert_int_equal(daos_is_kv_type(rows[i].type), rows[i].kinds[4]);
	}
	assert_true(daos_otype_t_is_valid(DAOS_OT_OIT_V2));
	assert_false(daos_otype_t_is_valid((enum daos_otype_t)15));
}

static void
test_labels(void **state)
{
	static const char *const good[] = {"a",
					   "tank",
					   "my-pool_1.x:y",
					   "0",
					   "12345678-1234-1234-1234-1234567890a",
					   "12345678-1234-1234-1234-12345678901g"};
	static const char *const bad[] = {"",
					  "a b",
					  "a/b",
					  "ä",
					  "a@",
					  "12345678-1234-1234-1234-123456789012",
					  "12345678-1234-1234-1234-123456789012x"};
	char longest[DAOS_PROP_LABEL_MAX_LEN + 2];
	size_t i;

	for (i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		assert_true(daos_label_is_valid(good[i]));
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(daos_label_is_valid(bad[i]));
	assert_false(daos_label_is_valid(NULL));
	memset(longest, 'x', sizeof(longest));
	longest[DAOS_PROP_LABEL_MAX_LEN + 1] = '\0';
	assert_false(daos_label_is_valid(longest));
	longest[DAOS_PROP_LABEL_MAX_LEN] = '\0';
	assert_true(daos_label_is_valid(longest));

	assert_true(
	    daos_is_valid_uuid_string("abcdef01-0000-0000-0000-00000000000a", UUID_SST_NONE));
	assert_true(
	    daos_is_valid_uuid_string("abcdef01-0000-0000-0000-00000000000a", UUID_SST_LOWER));
	assert_false(
	    daos_is_valid_uuid_string("abcdef01-0000-0000-0000-00000000000a", UUID_SST_UPPER));
	assert_false(daos_is_valid_uuid_string("abcdef01-0000", UUID_SST_NONE));
	assert_false(
	    daos_is_valid_uuid_string("abcdef0100000-0000-0000-00000000000a", UUID_SST_NONE));
}

static void
test_small(void **state)
{
	daos_handle_t hdl = DAOS_HDL_INVAL;
	struct daos_co_status status = {.dcs_status = 1, .dcs_flags = 2, .dcs_pm_ver = 0xfffffffe};
	struct daos_co_status back;
	daos_anchor_t anchor;
	daos_version_t ver;
	d_iov_t iov;
	char buf[8];

	assert_true(daos_handle_is_inval(hdl));
	hdl.cookie = 1;
	assert_true(daos_handle_is_valid(hdl));
	memset(&anchor, 0xff, sizeof(anchor));
	assert_int_equal(daos_anchor_init(&anchor, 0), 0);
	assert_int_equal(anchor.da_buf[DAOS_ANCHOR_BUF_MAX - 1], 0);
	assert_false(daos_anchor_is_eof(&anchor));
	anchor.da_type = DAOS_ANCHOR_TYPE_EOF;
	assert_true(daos_anchor_is_eof(&anchor));
	d_iov_set(&iov, buf, sizeof(buf));
	assert_true(iov.iov_len == 8 && iov.iov_buf_len == 8 && iov.iov_buf == buf);
	assert_false(daos_key_is_null(iov));
	d_iov_set(&iov, NULL, 0);
	assert_true(daos_key_is_null(iov));

	assert_true(daos_prop_co_status_2_val(&status) == 0x00020001fffffffeULL);
	daos_prop_val_2_co_status(daos_prop_co_status_2_val(&status), &back);
	assert_memory_equal(&status, &back, sizeof(status));
	assert_true(daos_rf_is_valid(4) && !daos_rf_is_valid(5));
	assert_string_equal(daos_pool_cont_filter_func_str(PCF_FUNC_GE), ">=");
	assert_string_equal(daos_pool_cont_filter_func_str(PCF_FUNC_MAX), "UNKNOWN");
	assert_string_equal(daos_pool_cont_filter_key_str(PCF_KEY_NUM_HANDLES), "num_handles");

	daos_version_pack(&ver);
	assert_int_equal(ver.raw >> 24, DAOS_VERSION_MAJOR);
	assert_int_equal(daos_version_get_protocol(&ver), 1);
	assert_true(DAOS_API_VERSION_MAJOR == 2 && DAOS_API_VERSION_MINOR == 8);
	assert_int_equal(DER_EVICTED, DER_EXCLUDED);
	assert_int_equal(OC_EC_16P3GX, 704708607);
	assert_int_equal(DAOS_OPC_PIPELINE_RUN, 81);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_oid),
	    cmocka_unit_test(test_labels),
	    cmocka_unit_test(test_small),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
