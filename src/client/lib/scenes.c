/* What any system must do for its clients: see scenes.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <daos.h>
#include <daos_task.h>
#include <gurt/common.h>

#include "client/lib/scenes.h"

struct scene scene;

/* --- helpers --- */

daos_handle_t
scene_open_obj(enum daos_otype_t type, daos_oclass_id_t cid)
{
	static uint64_t lo;
	daos_obj_id_t oid = {.lo = ++lo};
	daos_handle_t oh;

	assert_int_equal(daos_obj_generate_oid(scene.coh, &oid, type, cid, 0, 0), 0);
	assert_int_equal(daos_obj_open(scene.coh, oid, DAOS_OO_RW, &oh, NULL), 0);
	return oh;
}

void
scene_fill(uint8_t *buf, size_t len, uint32_t seed)
{
	size_t i;

	for (i = 0; i < len; i++)
		buf[i] = (uint8_t)(seed + i * 7 + (i >> 8));
}

void
scene_one_single(struct scene_io *o, const char *dkey, const char *akey, void *buf, size_t size)
{
	memset(o, 0, sizeof(*o));
	d_iov_set(&o->dkey, (void *)dkey, strlen(dkey));
	d_iov_set(&o->iod.iod_name, (void *)akey, strlen(akey));
	o->iod.iod_type = DAOS_IOD_SINGLE;
	o->iod.iod_size = size;
	o->iod.iod_nr = 1;
	d_iov_set(&o->iov, buf, size);
	o->sgl.sg_nr = 1;
	o->sgl.sg_iovs = &o->iov;
}

void
scene_one_array(struct scene_io *o, const char *dkey, const char *akey, uint64_t idx, void *buf,
		size_t nr)
{
	scene_one_single(o, dkey, akey, buf, nr);
	o->iod.iod_type = DAOS_IOD_ARRAY;
	o->iod.iod_size = 1;
	o->recx = (daos_recx_t){.rx_idx = idx, .rx_nr = nr};
	o->iod.iod_recxs = &o->recx;
}

int
scene_put(daos_handle_t oh, struct scene_io *o, uint64_t flags)
{
	return daos_obj_update(oh, DAOS_TX_NONE, flags, &o->dkey, 1, &o->iod, &o->sgl, NULL);
}

int
scene_get(daos_handle_t oh, struct scene_io *o, uint64_t flags)
{
	return daos_obj_fetch(oh, DAOS_TX_NONE, flags, &o->dkey, 1, &o->iod, &o->sgl, NULL, NULL);
}

/* --- pools and containers --- */

void
scene_pool(void **state)
{
	daos_pool_info_t info = {.pi_bits = DPI_SPACE};
	d_rank_list_t *ranks = NULL;
	daos_handle_t poh;

	assert_int_equal(daos_pool_connect("nope", NULL, DAOS_PC_RW, &poh, NULL, NULL),
			 -DER_NONEXIST);
	assert_int_equal(daos_pool_connect("tank", NULL, 0, &poh, NULL, NULL), -DER_INVAL);
	assert_int_equal(daos_pool_query(scene.poh, &ranks, &info, NULL, NULL), 0);
	assert_int_equal(info.pi_ntargets, scene.target_nr);
	assert_true(info.pi_space.ps_space.s_free[DAOS_MEDIA_SCM] > 0);
	assert_true(info.pi_space.ps_space.s_free[DAOS_MEDIA_SCM] <=
		    info.pi_space.ps_space.s_total[DAOS_MEDIA_SCM]);
	assert_true(ranks->rl_nr > 0);
	d_rank_list_free(ranks);
	/* containers are open */
	assert_int_equal(daos_pool_disconnect(scene.poh, NULL), -DER_BUSY);
	assert_int_equal(daos_pool_query(DAOS_HDL_INVAL, NULL, &info, NULL, NULL), -DER_NO_HDL);
	assert_int_equal(daos_pool_query(scene.coh, NULL, &info, NULL, NULL), -DER_NO_HDL);
}

void
scene_cont_list(void **state)
{
	struct daos_pool_cont_info conts[8];
	daos_size_t nr = 0;
	uuid_t uuid;
	int i;

	for (i = 0; i < 4; i++) {
		char label[16];

		snprintf(label, sizeof(label), "c%d", i);
		assert_int_equal(daos_cont_create_with_label(scene.poh, label, NULL, &uuid, NULL),
				 0);
	}
	assert_int_equal(daos_cont_create_with_label(scene.poh, "c1", NULL, NULL, NULL),
			 -DER_EXIST);
	assert_int_equal(daos_cont_create_with_label(scene.poh, "not a label", NULL, NULL, NULL),
			 -DER_INVAL);
	assert_int_equal(daos_pool_list_cont(scene.poh, &nr, NULL, NULL), 0);
	assert_int_equal(nr, 5);
	nr = 3;
	assert_int_equal(daos_pool_list_cont(scene.poh, &nr, conts, NULL), -DER_TRUNC);
	assert_int_equal(nr, 5);
	nr = 8;
	assert_int_equal(daos_pool_list_cont(scene.poh, &nr, conts, NULL), 0);
	assert_int_equal(nr, 5);
	for (i = 0; i < 5; i++)
		if (strcmp(conts[i].pci_label, "c3") == 0)
			break;
	assert_true(i < 5);
	assert_int_equal(uuid_compare(conts[i].pci_uuid, uuid), 0);
	assert_int_equal(daos_cont_destroy(scene.poh, "c2", 0, NULL), 0);
	assert_int_equal(daos_cont_destroy(scene.poh, "c2", 0, NULL), -DER_NONEXIST);
	assert_int_equal(daos_cont_destroy(scene.poh, "home", 0, NULL), -DER_BUSY);
}

void
scene_attrs(void **state)
{
	const char *names[] = {"one", "two"};
	const void *values[] = {"1", "second"};
	size_t sizes[] = {2, 7}, size;
	char b1[8], b2[3], list[32];
	void *bufs[] = {b1, b2};

	assert_int_equal(daos_cont_set_attr(scene.coh, 2, names, values, sizes, NULL), 0);
	sizes[0] = sizeof(b1);
	sizes[1] = sizeof(b2);
	assert_int_equal(daos_cont_get_attr(scene.coh, 2, names, bufs, sizes, NULL), 0);
	assert_int_equal(sizes[0], 2);
	assert_string_equal(b1, "1");
	assert_int_equal(sizes[1], 7);
	assert_memory_equal(b2, "sec", 3);
	size = 0;
	assert_int_equal(daos_cont_list_attr(scene.coh, NULL, &size, NULL), 0);
	assert_int_equal(size, 8);
	size = sizeof(list);
	assert_int_equal(daos_cont_list_attr(scene.coh, list, &size, NULL), 0);
	assert_memory_equal(list, "one\0two", 8);
	assert_int_equal(daos_cont_del_attr(scene.coh, 1, names, NULL), 0);
	assert_int_equal(daos_cont_get_attr(scene.coh, 1, names, NULL, sizes, NULL), -DER_NONEXIST);
	assert_int_equal(daos_pool_set_attr(scene.poh, 2, names, values, sizes, NULL), 0);
	assert_int_equal(daos_pool_get_attr(scene.poh, 1, names, NULL, sizes, NULL), 0);
	assert_int_equal(daos_pool_set_attr(scene.poh, 0, names, values, sizes, NULL), -DER_INVAL);
}

void
scene_props(void **state)
{
	daos_prop_t *prop = daos_prop_alloc(3);
	struct daos_prop_co_roots roots = {{{1, 2}, {3, 4}, {5, 6}, {7, 8}}};
	daos_cont_info_t info;
	daos_handle_t coh;
	uint64_t a, b;

	prop->dpp_entries[0].dpe_type = DAOS_PROP_CO_LAYOUT_TYPE;
	prop->dpp_entries[0].dpe_val = DAOS_PROP_CO_LAYOUT_POSIX;
	prop->dpp_entries[1].dpe_type = DAOS_PROP_CO_ROOTS;
	assert_int_equal(daos_prop_entry_set_ptr(&prop->dpp_entries[1], &roots, sizeof(roots)), 0);
	prop->dpp_entries[2].dpe_type = DAOS_PROP_CO_LABEL;
	prop->dpp_entries[2].dpe_str = strdup("props");
	assert_int_equal(daos_cont_create(scene.poh, NULL, prop, NULL), 0);
	daos_prop_free(prop);

	assert_int_equal(daos_cont_open(scene.poh, "props", DAOS_COO_RW, &coh, &info, NULL), 0);
	assert_int_equal(info.ci_nhandles, 1);
	prop = daos_prop_alloc(3);
	prop->dpp_entries[0].dpe_type = DAOS_PROP_CO_ROOTS;
	prop->dpp_entries[1].dpe_type = DAOS_PROP_CO_CSUM;
	prop->dpp_entries[2].dpe_type = DAOS_PROP_CO_LABEL;
	assert_int_equal(daos_cont_query(coh, &info, prop, NULL), 0);
	assert_memory_equal(prop->dpp_entries[0].dpe_val_ptr, &roots, sizeof(roots));
	assert_string_equal(prop->dpp_entries[2].dpe_str, "props");
	daos_prop_free(prop);

	prop = daos_prop_alloc(1);
	prop->dpp_entries[0].dpe_type = DAOS_PROP_CO_LABEL;
	prop->dpp_entries[0].dpe_str = strdup("renamed");
	assert_int_equal(daos_cont_set_prop(coh, prop, NULL), 0);
	daos_prop_free(prop);
	prop = daos_prop_alloc(0);
	daos_prop_free(prop);

	assert_int_equal(daos_cont_alloc_oids(coh, 10, &a, NULL), 0);
	assert_int_equal(daos_cont_alloc_oids(coh, 1, &b, NULL), 0);
	assert_int_equal(b, a + 10);
	assert_int_equal(daos_cont_close(coh, NULL), 0);
	assert_int_equal(daos_cont_close(coh, NULL), -DER_NO_HDL);
	assert_int_equal(daos_cont_open(scene.poh, "renamed", DAOS_COO_RO, &coh, NULL, NULL), 0);
	assert_int_equal(daos_cont_close(coh, NULL), 0);
	assert_int_equal(
	    daos_cont_open(scene.poh, "renamed", DAOS_COO_RO | DAOS_COO_RW, &coh, NULL, NULL),
	    -DER_INVAL);
}

/* --- objects --- */

void
scene_oid(void **state)
{
	daos_obj_id_t oid = {.lo = 5, .hi = 9};
	daos_handle_t oh;
	char name[MAX_OBJ_CLASS_NAME_LEN];

	assert_int_equal(daos_obj_generate_oid(scene.coh, &oid, DAOS_OT_KV_HASHED, OC_SX, 0, 0), 0);
	assert_int_equal(daos_obj_id2type(oid), DAOS_OT_KV_HASHED);
	assert_int_equal(daos_obj_id2grp_nr(oid), scene.target_nr);
	assert_int_equal(oid.hi & UINT32_MAX, 9);
	assert_int_equal(daos_obj_generate_oid(scene.coh, &oid, DAOS_OT_KV_HASHED, OC_SX, 0, 0),
			 -DER_INVAL);
	oid.hi = 0;
	assert_int_equal(daos_obj_generate_oid(scene.coh, &oid, 0, OC_S32, 0, 0), -DER_INVAL);
	assert_int_equal(daos_obj_generate_oid(scene.coh, &oid, 0, OC_UNKNOWN, 0, 0), 0);
	assert_int_equal(daos_obj_id2class(oid), OC_S1);
	assert_int_equal(daos_oclass_name2id("S1"), OC_S1);
	assert_int_equal(daos_oclass_id2name(OC_SX, name), 0);
	assert_string_equal(name, "SX");
	assert_int_equal(daos_obj_open(DAOS_HDL_INVAL, oid, DAOS_OO_RW, &oh, NULL), -DER_NO_HDL);
	assert_int_equal(daos_obj_close(DAOS_HDL_INVAL, NULL), -DER_NO_HDL);
}

void
scene_single(void **state)
{
	daos_handle_t oh = scene_open_obj(DAOS_OT_MULTI_HASHED, OC_SX);
	uint8_t big[100000], back[100000], small[4];
	struct scene_io o;

	scene_one_single(&o, "dk", "ak", "hello", 5);
	assert_int_equal(scene_put(oh, &o, 0), 0);
	/* size only */
	scene_one_single(&o, "dk", "ak", NULL, DAOS_REC_ANY);
	assert_int_equal(daos_obj_fetch(oh, DAOS_TX_NONE, 0, &o.dkey, 1, &o.iod, NULL, NULL, NULL),
			 0);
	assert_int_equal(o.iod.iod_size, 5);
	/* into more room */
	memset(back, 'x', sizeof(back));
	scene_one_single(&o, "dk", "ak", back, 10);
	o.iod.iod_size = DAOS_REC_ANY;
	assert_int_equal(scene_get(oh, &o, 0), 0);
	assert_memory_equal(back, "helloxxxxx", 10);
	assert_int_equal(o.iod.iod_size, 5);
	assert_int_equal(o.iov.iov_len, 5);
	assert_int_equal(o.sgl.sg_nr_out, 1);
	/* into less */
	scene_one_single(&o, "dk", "ak", small, sizeof(small));
	o.iod.iod_size = DAOS_REC_ANY;
	assert_int_equal(scene_get(oh, &o, 0), -DER_REC2BIG);
	assert_int_equal(o.iod.iod_size, 5);
	/* absent */
	scene_one_single(&o, "dk", "other", back, 10);
	assert_int_equal(scene_get(oh, &o, 0), 0);
	assert_int_equal(o.iod.iod_size, 0);
	assert_int_equal(o.iov.iov_len, 0);
	/* large: by bulk */
	scene_fill(big, sizeof(big), 3);
	scene_one_single(&o, "dk", "big", big, sizeof(big));
	assert_int_equal(scene_put(oh, &o, 0), 0);
	scene_one_single(&o, "dk", "big", back, sizeof(back));
	assert_int_equal(scene_get(oh, &o, 0), 0);
	assert_memory_equal(big, back, sizeof(big));
	/* misuse */
	scene_one_single(&o, "", "ak", "x", 1);
	assert_int_equal(scene_put(oh, &o, 0), -DER_INVAL);
	scene_one_single(&o, "dk", "ak", "x", 1);
	o.iod.iod_size = 2;
	assert_int_equal(scene_put(oh, &o, 0), -DER_REC2BIG);
	assert_int_equal(daos_obj_update(oh, DAOS_TX_NONE, 0, &o.dkey, 1, &o.iod, NULL, NULL),
			 -DER_INVAL);
	assert_int_equal(scene_put(scene.coh, &o, 0), -DER_NO_HDL);
	assert_int_equal(daos_obj_close(oh, NULL), 0);
	assert_int_equal(scene_put(oh, &o, 0), -DER_NO_HDL);
}

void
scene_conditions(void **state)
{
	daos_handle_t oh = scene_open_obj(DAOS_OT_MULTI_HASHED, OC_S1);
	daos_key_t dkey;
	struct scene_io o;
	char c;

	scene_one_single(&o, "d", "a", "1", 1);
	assert_int_equal(scene_put(oh, &o, DAOS_COND_DKEY_UPDATE), -DER_NONEXIST);
	assert_int_equal(scene_put(oh, &o, DAOS_COND_DKEY_INSERT), 0);
	assert_int_equal(scene_put(oh, &o, DAOS_COND_DKEY_INSERT), -DER_EXIST);
	assert_int_equal(scene_put(oh, &o, DAOS_COND_AKEY_INSERT), -DER_EXIST);
	assert_int_equal(scene_put(oh, &o, DAOS_COND_AKEY_UPDATE), 0);
	scene_one_single(&o, "nope", "a", &c, 1);
	assert_int_equal(scene_get(oh, &o, DAOS_COND_DKEY_FETCH), -DER_NONEXIST);
	assert_int_equal(scene_get(oh, &o, 1ull << 20), -DER_INVAL);
	d_iov_set(&dkey, (void *)"nope", 4);
	assert_int_equal(daos_obj_punch_dkeys(oh, DAOS_TX_NONE, DAOS_COND_PUNCH, 1, &dkey, NULL),
			 -DER_NONEXIST);
	assert_int_equal(daos_obj_punch_dkeys(oh, DAOS_TX_NONE, 0, 1, &dkey, NULL), 0);
	assert_int_equal(daos_obj_punch(oh, DAOS_TX_NONE, DAOS_COND_PUNCH, NULL), 0);
	assert_int_equal(daos_obj_punch(oh, DAOS_TX_NONE, DAOS_COND_PUNCH, NULL), -DER_NONEXIST);
	assert_int_equal(daos_obj_close(oh, NULL), 0);
}

/* Pieces of every size, inline and by bulk; holes stay as they were. */
void
scene_array_values(void **state)
{
	static const size_t sizes[] = {1, 100, 32768, 32769, 300000};
	daos_handle_t oh = scene_open_obj(DAOS_OT_MULTI_HASHED, OC_S2);
	static uint8_t data[300000], back[300000], want[300000];
	size_t s, i;

	for (s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++) {
		size_t n = sizes[s], frag = n / 300 + 1;
		d_iov_t iovs[400];
		d_sg_list_t sgl = {.sg_iovs = iovs};
		struct scene_io o;
		char akey[8];

		snprintf(akey, sizeof(akey), "a%zu", s);
		scene_fill(data, n, s);
		scene_one_array(&o, "d", akey, 10, data, n);
		for (i = 0; i < n; i += frag)
			d_iov_set(&iovs[sgl.sg_nr++], data + i, i + frag > n ? n - i : frag);
		assert_int_equal(
		    daos_obj_update(oh, DAOS_TX_NONE, 0, &o.dkey, 1, &o.iod, &sgl, NULL), 0);
		/* read back with as many pieces, in reverse so that none join */
		memset(back, 0xee, n);
		for (i = 0; i < sgl.sg_nr; i++)
			iovs[i].iov_buf =
			    back + n - ((uint8_t *)iovs[i].iov_buf - data) - iovs[i].iov_buf_len;
		o.iod.iod_size = 1;
		assert_int_equal(
		    daos_obj_fetch(oh, DAOS_TX_NONE, 0, &o.dkey, 1, &o.iod, &sgl, NULL, NULL), 0);
		for (i = 0; i < n; i++) {
			size_t k = i / frag, len = k * frag + frag > n ? n - k * frag : frag;

			assert_int_equal(back[n - k * frag - len + i % frag], data[i]);
		}
		assert_int_equal(sgl.sg_nr_out, sgl.sg_nr);
		/* beyond both ends: holes */
		if (n + 20 > sizeof(back))
			continue;
		memset(back, 0xee, n + 20);
		memset(want, 0xee, n + 20);
		memcpy(want + 10, data, n);
		scene_one_array(&o, "d", akey, 0, back, n + 20);
		assert_int_equal(scene_get(oh, &o, 0), 0);
		assert_memory_equal(back, want, n + 20);
		assert_int_equal(o.iov.iov_len, n + 10);
	}
	assert_int_equal(daos_obj_close(oh, NULL), 0);
}

/* More than one request may carry: as several, which the caller does not notice. */
void
scene_large(void **state)
{
	enum { N = 70 << 20 };
	daos_handle_t oh = scene_open_obj(DAOS_OT_MULTI_HASHED, OC_S1);
	uint8_t *data = malloc(N), *back = malloc(N);
	struct scene_io o;

	scene_fill(data, N, 4);
	memset(back, 0, N);
	scene_one_array(&o, "d", "a", 5, data, N);
	assert_int_equal(scene_put(oh, &o, 0), 0);
	scene_one_array(&o, "d", "a", 5, back, N);
	assert_int_equal(scene_get(oh, &o, 0), 0);
	assert_int_equal(o.iod.iod_size, 1);
	assert_int_equal(o.iov.iov_len, N);
	assert_memory_equal(back, data, N);
	scene_one_single(&o, "d", "s", data, N);
	assert_int_equal(scene_put(oh, &o, 0), -DER_REC2BIG);
	assert_int_equal(daos_obj_punch(oh, DAOS_TX_NONE, 0, NULL), 0);
	assert_int_equal(daos_obj_close(oh, NULL), 0);
	free(data);
	free(back);
}

/* Several akeys at once, sizes apart from each other, and the map of what exists. */
void
scene_multi(void **state)
{
	daos_handle_t oh = scene_open_obj(DAOS_OT_MULTI_HASHED, OC_SX);
	daos_recx_t recx = {.rx_idx = 4, .rx_nr = 4}, found[4], all = {.rx_nr = 12};
	char v1[] = "value", v2[] = "abcdefgh", b1[16], b2[12];
	daos_iod_t iods[2] = {
	    {.iod_type = DAOS_IOD_SINGLE, .iod_size = 5, .iod_nr = 1},
	    {.iod_type = DAOS_IOD_ARRAY, .iod_size = 1, .iod_nr = 1, .iod_recxs = &recx}};
	d_iov_t iovs[2];
	d_sg_list_t sgls[2] = {{.sg_nr = 1, .sg_iovs = &iovs[0]},
			       {.sg_nr = 1, .sg_iovs = &iovs[1]}};
	daos_iom_t ioms[2] = {{0},
			      {.iom_nr = 4, .iom_recxs = found, .iom_flags = DAOS_IOMF_DETAIL}};
	daos_key_t dkey;

	d_iov_set(&dkey, (void *)"d", 1);
	d_iov_set(&iods[0].iod_name, (void *)"one", 3);
	d_iov_set(&iods[1].iod_name, (void *)"two", 3);
	d_iov_set(&iovs[0], v1, 5);
	d_iov_set(&iovs[1], v2, 4);
	assert_int_equal(daos_obj_update(oh, DAOS_TX_NONE, 0, &dkey, 2, iods, sgls, NULL), 0);
	memset(b1, '-', sizeof(b1));
	memset(b2, '-', sizeof(b2));
	d_iov_set(&iovs[0], b1, sizeof(b1));
	d_iov_set(&iovs[1], b2, sizeof(b2));
	iods[0].iod_size = DAOS_REC_ANY;
	iods[1].iod_recxs = &all;
	assert_int_equal(daos_obj_fetch(oh, DAOS_TX_NONE, 0, &dkey, 2, iods, sgls, ioms, NULL), 0);
	assert_memory_equal(b1, "value-----------", 16);
	assert_memory_equal(b2, "----abcd----", 12);
	assert_int_equal(iods[0].iod_size, 5);
	assert_int_equal(ioms[0].iom_nr_out, 1);
	assert_int_equal(ioms[1].iom_nr_out, 1);
	assert_int_equal(found[0].rx_idx, 4);
	assert_int_equal(found[0].rx_nr, 4);
	assert_int_equal(ioms[1].iom_recx_lo.rx_idx, 4);
	assert_int_equal(daos_obj_close(oh, NULL), 0);
}

static uint32_t
list_all(daos_handle_t oh, const char *dkey, uint32_t room, uint32_t key_nr, bool *seen)
{
	daos_anchor_t anchor = DAOS_ANCHOR_INIT;
	daos_key_desc_t kds[64];
	char buf[4096];
	d_iov_t iov;
	d_sg_list_t sgl = {.sg_nr = 1, .sg_iovs = &iov};
	daos_key_t key;
	uint32_t total = 0;

	if (dkey != NULL)
		d_iov_set(&key, (void *)dkey, strlen(dkey));
	while (!daos_anchor_is_eof(&anchor)) {
		uint32_t i, nr = key_nr;
		size_t off = 0;

		d_iov_set(&iov, buf, room);
		if (dkey == NULL)
			assert_int_equal(
			    daos_obj_list_dkey(oh, DAOS_TX_NONE, &nr, kds, &sgl, &anchor, NULL), 0);
		else
			assert_int_equal(daos_obj_list_akey(oh, DAOS_TX_NONE, &key, &nr, kds, &sgl,
							    &anchor, NULL),
					 0);
		assert_true(nr <= key_nr);
		for (i = 0; i < nr; i++) {
			char name[16];
			int k;

			assert_true(kds[i].kd_key_len < sizeof(name));
			memcpy(name, buf + off, kds[i].kd_key_len);
			name[kds[i].kd_key_len] = 0;
			off += kds[i].kd_key_len;
			assert_int_equal(sscanf(name, "key%d", &k), 1);
			assert_false(seen[k]);
			seen[k] = true;
		}
		assert_true(off <= room);
		total += nr;
	}
	return total;
}

void
scene_lists(void **state)
{
	daos_handle_t oh = scene_open_obj(DAOS_OT_MULTI_HASHED, OC_SX);
	daos_anchor_t anchor = DAOS_ANCHOR_INIT, parts[3];
	daos_key_desc_t kd;
	uint32_t i, nr, total = 0;
	bool seen[100];
	char buf[8];
	d_iov_t iov;
	d_sg_list_t sgl = {.sg_nr = 1, .sg_iovs = &iov};
	struct scene_io o;

	for (i = 0; i < 100; i++) {
		char key[16];

		snprintf(key, sizeof(key), "key%u", i);
		scene_one_single(&o, key, "a", "v", 1);
		assert_int_equal(scene_put(oh, &o, 0), 0);
		scene_one_single(&o, "key0", key, "v", 1);
		assert_int_equal(scene_put(oh, &o, 0), 0);
	}
	memset(seen, 0, sizeof(seen));
	assert_int_equal(list_all(oh, NULL, 4096, 64, seen), 100);
	memset(seen, 0, sizeof(seen));
	assert_int_equal(list_all(oh, NULL, 12, 5, seen), 100);
	memset(seen, 0, sizeof(seen));
	assert_int_equal(list_all(oh, NULL, 4096, 1, seen), 100);
	/* "a" is an akey of key0 too */
	scene_one_single(&o, "key0", "a", "v", 1);
	assert_int_equal(
	    daos_obj_punch_akeys(oh, DAOS_TX_NONE, 0, &o.dkey, 1, &o.iod.iod_name, NULL), 0);
	memset(seen, 0, sizeof(seen));
	assert_int_equal(list_all(oh, "key0", 100, 9, seen), 100);

	/* no room for any key */
	d_iov_set(&iov, buf, 3);
	nr = 1;
	assert_int_equal(daos_obj_list_dkey(oh, DAOS_TX_NONE, &nr, &kd, &sgl, &anchor, NULL),
			 -DER_KEY2BIG);
	assert_true(kd.kd_key_len == 4 || kd.kd_key_len == 5);
	assert_false(daos_anchor_is_eof(&anchor));

	/* in parts */
	nr = 3;
	assert_int_equal(daos_obj_anchor_split(oh, &nr, parts), 0);
	assert_int_equal(nr, 3);
	for (i = 0; i < 3; i++) {
		while (!daos_anchor_is_eof(&parts[i])) {
			nr = 1;
			d_iov_set(&iov, buf, sizeof(buf));
			assert_int_equal(
			    daos_obj_list_dkey(oh, DAOS_TX_NONE, &nr, &kd, &sgl, &parts[i], NULL),
			    0);
			total += nr;
		}
	}
	assert_int_equal(total, 100);
	assert_int_equal(daos_obj_punch(oh, DAOS_TX_NONE, 0, NULL), 0);
	assert_int_equal(list_all(oh, NULL, 4096, 64, seen), 0);
	assert_int_equal(daos_obj_close(oh, NULL), 0);
}

void
scene_recx_and_query(void **state)
{
	daos_handle_t oh = scene_open_obj(DAOS_OT_DKEY_UINT64, OC_SX);
	daos_anchor_t anchor = DAOS_ANCHOR_INIT;
	uint64_t d, k = 0;
	daos_recx_t recxs[20], recx;
	daos_epoch_range_t eprs[20];
	daos_epoch_t epoch;
	daos_size_t size;
	uint32_t nr = 20;
	struct scene_io o;

	for (d = 1; d < 50; d += 3) {
		scene_one_array(&o, "x", "a", d * 10, "abc", 3);
		d_iov_set(&o.dkey, &d, sizeof(d));
		assert_int_equal(scene_put(oh, &o, 0), 0);
	}
	d = 49;
	scene_one_array(&o, "x", "a", 1000, "abc", 3);
	d_iov_set(&o.dkey, &d, sizeof(d));
	assert_int_equal(scene_put(oh, &o, 0), 0);
	assert_int_equal(daos_obj_list_recx(oh, DAOS_TX_NONE, &o.dkey, &o.iod.iod_name, &size, &nr,
					    recxs, eprs, &anchor, true, NULL),
			 0);
	assert_int_equal(nr, 2);
	assert_int_equal(size, 1);
	assert_int_equal(recxs[0].rx_idx, 490);
	assert_int_equal(recxs[1].rx_idx, 1000);
	assert_true(daos_anchor_is_eof(&anchor));

	d_iov_set(&o.dkey, &k, sizeof(k));
	assert_int_equal(daos_obj_query_key(oh, DAOS_TX_NONE,
					    DAOS_GET_DKEY | DAOS_GET_RECX | DAOS_GET_MAX, &o.dkey,
					    &o.iod.iod_name, &recx, NULL),
			 0);
	assert_int_equal(k, 49);
	assert_int_equal(recx.rx_idx + recx.rx_nr, 1003);
	assert_int_equal(daos_obj_query_key(oh, DAOS_TX_NONE,
					    DAOS_GET_DKEY | DAOS_GET_RECX | DAOS_GET_MIN, &o.dkey,
					    &o.iod.iod_name, &recx, NULL),
			 0);
	assert_int_equal(k, 1);
	assert_int_equal(daos_obj_query_max_epoch(oh, DAOS_TX_NONE, &epoch, NULL), 0);
	assert_true(epoch > 1000);
	scene_one_array(&o, "wrong length", "a", 0, "abc", 3);
	assert_int_equal(scene_put(oh, &o, 0), -DER_INVAL);
	assert_int_equal(daos_obj_close(oh, NULL), 0);
}

/* --- key-value --- */

void
scene_kv(void **state)
{
	daos_obj_id_t oid = {.lo = 77};
	daos_anchor_t anchor = DAOS_ANCHOR_INIT;
	daos_key_desc_t kds[8];
	char buf[64], keys[64];
	daos_size_t size;
	daos_handle_t oh;
	uint32_t nr = 8;
	d_iov_t iov;
	d_sg_list_t sgl = {.sg_nr = 1, .sg_iovs = &iov};

	assert_int_equal(daos_kv_open(scene.coh, oid, DAOS_OO_RW, &oh, NULL), -DER_INVAL);
	assert_int_equal(daos_obj_generate_oid(scene.coh, &oid, DAOS_OT_KV_HASHED, OC_SX, 0, 0), 0);
	assert_int_equal(daos_kv_open(scene.coh, oid, DAOS_OO_RW, &oh, NULL), 0);
	assert_int_equal(daos_kv_put(oh, DAOS_TX_NONE, 0, "alpha", 5, "first", NULL), 0);
	assert_int_equal(
	    daos_kv_put(oh, DAOS_TX_NONE, DAOS_COND_KEY_INSERT, "alpha", 5, "other", NULL),
	    -DER_EXIST);
	assert_int_equal(
	    daos_kv_put(oh, DAOS_TX_NONE, DAOS_COND_KEY_UPDATE, "beta", 5, "other", NULL),
	    -DER_NONEXIST);
	size = 0;
	assert_int_equal(daos_kv_get(oh, DAOS_TX_NONE, 0, "alpha", &size, NULL, NULL), 0);
	assert_int_equal(size, 5);
	size = 3;
	assert_int_equal(daos_kv_get(oh, DAOS_TX_NONE, 0, "alpha", &size, buf, NULL), -DER_REC2BIG);
	assert_int_equal(size, 5);
	size = sizeof(buf);
	assert_int_equal(daos_kv_get(oh, DAOS_TX_NONE, 0, "alpha", &size, buf, NULL), 0);
	assert_int_equal(size, 5);
	assert_memory_equal(buf, "first", 5);
	size = sizeof(buf);
	assert_int_equal(daos_kv_get(oh, DAOS_TX_NONE, 0, "nope", &size, buf, NULL), 0);
	assert_int_equal(size, 0);
	assert_int_equal(daos_kv_get(oh, DAOS_TX_NONE, DAOS_COND_KEY_GET, "nope", &size, buf, NULL),
			 -DER_NONEXIST);
	d_iov_set(&iov, keys, sizeof(keys));
	assert_int_equal(daos_kv_list(oh, DAOS_TX_NONE, &nr, kds, &sgl, &anchor, NULL), 0);
	assert_int_equal(nr, 1);
	assert_memory_equal(keys, "alpha", 5);
	assert_true(daos_anchor_is_eof(&anchor));
	assert_int_equal(daos_kv_remove(oh, DAOS_TX_NONE, DAOS_COND_KEY_REMOVE, "alpha", NULL), 0);
	assert_int_equal(daos_kv_remove(oh, DAOS_TX_NONE, DAOS_COND_KEY_REMOVE, "alpha", NULL),
			 -DER_NONEXIST);
	assert_int_equal(daos_kv_destroy(oh, DAOS_TX_NONE, NULL), 0);
	assert_int_equal(daos_kv_close(oh, NULL), 0);
	assert_int_equal(daos_kv_close(oh, NULL), -DER_NO_HDL);
}

/* --- arrays --- */

void
scene_array_rw(daos_handle_t oh, bool write, uint64_t idx, uint64_t len, uint8_t *buf,
	       uint64_t *ret_short)
{
	daos_range_t rg = {.rg_idx = idx, .rg_len = len};
	daos_array_iod_t iod = {.arr_nr = 1, .arr_rgs = &rg};
	d_iov_t iov;
	d_sg_list_t sgl = {.sg_nr = 1, .sg_iovs = &iov};

	d_iov_set(&iov, buf, len);
	if (write) {
		assert_int_equal(daos_array_write(oh, DAOS_TX_NONE, &iod, &sgl, NULL), 0);
		return;
	}
	assert_int_equal(daos_array_read(oh, DAOS_TX_NONE, &iod, &sgl, NULL), 0);
	if (ret_short != NULL)
		*ret_short = iod.arr_nr_short_read;
	assert_int_equal(iod.arr_nr_read + iod.arr_nr_short_read, len);
}

void
scene_array(void **state)
{
	daos_obj_id_t oid = {.lo = 78};
	static uint8_t data[10000], back[10000], zeros[10000];
	uint64_t short_nr;
	daos_array_stbuf_t st;
	daos_size_t size, a, b;
	daos_handle_t oh;

	assert_int_equal(daos_obj_generate_oid(scene.coh, &oid, DAOS_OT_ARRAY_BYTE, OC_SX, 0, 0),
			 0);
	assert_int_equal(
	    daos_array_open_with_attr(scene.coh, oid, DAOS_TX_NONE, DAOS_OO_RW, 1, 1000, &oh, NULL),
	    0);
	assert_int_equal(daos_array_get_attr(oh, &a, &b), 0);
	assert_int_equal(a, 1000);
	assert_int_equal(daos_array_get_size(oh, DAOS_TX_NONE, &size, NULL), 0);
	assert_int_equal(size, 0);
	scene_fill(data, sizeof(data), 5);
	/* over many chunks, neither end at a boundary */
	scene_array_rw(oh, true, 1500, 5000, data, NULL);
	assert_int_equal(daos_array_get_size(oh, DAOS_TX_NONE, &size, NULL), 0);
	assert_int_equal(size, 6500);
	scene_array_rw(oh, false, 1500, 5000, back, &short_nr);
	assert_int_equal(short_nr, 0);
	assert_memory_equal(back, data, 5000);
	/* before: a hole, read as zeros; behind: short */
	memset(back, 0xee, sizeof(back));
	scene_array_rw(oh, false, 0, 10000, back, &short_nr);
	assert_int_equal(short_nr, 3500);
	assert_memory_equal(back, zeros, 1500);
	assert_memory_equal(back + 1500, data, 5000);
	assert_int_equal(back[6500], 0xee);
	/* grow, shrink, shrink into a hole */
	assert_int_equal(daos_array_set_size(oh, DAOS_TX_NONE, 9000, NULL), 0);
	assert_int_equal(daos_array_get_size(oh, DAOS_TX_NONE, &size, NULL), 0);
	assert_int_equal(size, 9000);
	scene_array_rw(oh, false, 6400, 3000, back, &short_nr);
	assert_int_equal(short_nr, 400);
	assert_memory_equal(back, data + 4900, 100);
	assert_memory_equal(back + 100, zeros, 2500);
	assert_int_equal(daos_array_set_size(oh, DAOS_TX_NONE, 2300, NULL), 0);
	assert_int_equal(daos_array_get_size(oh, DAOS_TX_NONE, &size, NULL), 0);
	assert_int_equal(size, 2300);
	assert_int_equal(daos_array_set_size(oh, DAOS_TX_NONE, 4000, NULL), 0);
	scene_array_rw(oh, false, 2000, 2000, back, &short_nr);
	assert_int_equal(short_nr, 0);
	assert_memory_equal(back, data + 500, 300);
	assert_memory_equal(back + 300, zeros, 1700);
	assert_int_equal(daos_array_set_size(oh, DAOS_TX_NONE, 700, NULL), 0);
	assert_int_equal(daos_array_stat(oh, DAOS_TX_NONE, &st, NULL), 0);
	assert_int_equal(st.st_size, 700);
	assert_true(st.st_max_epoch > 0);
	assert_int_equal(daos_array_set_size(oh, DAOS_TX_NONE, 0, NULL), 0);
	assert_int_equal(daos_array_get_size(oh, DAOS_TX_NONE, &size, NULL), 0);
	assert_int_equal(size, 0);
	scene_array_rw(oh, false, 0, 100, back, &short_nr);
	assert_int_equal(short_nr, 100);
	assert_int_equal(daos_array_destroy(oh, DAOS_TX_NONE, NULL), 0);
	assert_int_equal(daos_array_close(oh, NULL), 0);
}

void
scene_array_ranges(void **state)
{
	daos_obj_id_t oid = {.lo = 79};
	enum { NR = 3000 };
	static uint32_t data[NR], back[NR];
	static daos_range_t rgs[NR];
	daos_array_iod_t iod = {.arr_nr = NR, .arr_rgs = rgs};
	daos_size_t cell, chunk, size;
	d_iov_t iov;
	d_sg_list_t sgl = {.sg_nr = 1, .sg_iovs = &iov};
	daos_handle_t oh;
	uint32_t i;

	assert_int_equal(daos_obj_generate_oid(scene.coh, &oid, DAOS_OT_ARRAY, OC_SX, 0, 0), 0);
	assert_int_equal(
	    daos_array_open(scene.coh, oid, DAOS_TX_NONE, DAOS_OO_RW, &cell, &chunk, &oh, NULL),
	    -DER_NONEXIST);
	assert_int_equal(daos_array_create(scene.coh, oid, DAOS_TX_NONE, 4, 64, &oh, NULL), 0);
	assert_int_equal(daos_array_close(oh, NULL), 0);
	assert_int_equal(daos_array_create(scene.coh, oid, DAOS_TX_NONE, 4, 64, &oh, NULL),
			 -DER_EXIST);
	assert_int_equal(
	    daos_array_open(scene.coh, oid, DAOS_TX_NONE, DAOS_OO_RW, &cell, &chunk, &oh, NULL), 0);
	assert_int_equal(cell, 4);
	assert_int_equal(chunk, 64);
	for (i = 0; i < NR; i++) {
		data[i] = i * 3;
		rgs[i] = (daos_range_t){.rg_idx = i * 2, .rg_len = 1};
	}
	d_iov_set(&iov, data, sizeof(data));
	assert_int_equal(daos_array_write(oh, DAOS_TX_NONE, &iod, &sgl, NULL), 0);
	d_iov_set(&iov, back, sizeof(back));
	assert_int_equal(daos_array_read(oh, DAOS_TX_NONE, &iod, &sgl, NULL), 0);
	assert_memory_equal(back, data, sizeof(data));
	assert_int_equal(iod.arr_nr_short_read, 0);
	d_iov_set(&iov, back, sizeof(back) - 4);
	assert_int_equal(daos_array_read(oh, DAOS_TX_NONE, &iod, &sgl, NULL), -DER_INVAL);
	/* punch keeps the size, even of the last cell */
	rgs[0] = (daos_range_t){.rg_idx = 10, .rg_len = NR * 2};
	iod.arr_nr = 1;
	assert_int_equal(daos_array_punch(oh, DAOS_TX_NONE, &iod, NULL), 0);
	assert_int_equal(daos_array_get_size(oh, DAOS_TX_NONE, &size, NULL), 0);
	assert_int_equal(size, NR * 2 - 1);
	/* the description survives */
	assert_int_equal(daos_array_set_size(oh, DAOS_TX_NONE, 0, NULL), 0);
	assert_int_equal(daos_array_close(oh, NULL), 0);
	assert_int_equal(
	    daos_array_open(scene.coh, oid, DAOS_TX_NONE, DAOS_OO_RW, &cell, &chunk, &oh, NULL), 0);
	assert_int_equal(daos_array_close(oh, NULL), 0);
}

/* Every second byte written: thousands of pieces, read in one call. */
void
scene_array_scattered(void **state)
{
	enum { N = 20000 };
	daos_obj_id_t oid = {.lo = 80};
	static uint8_t data[N], back[2 * N];
	static daos_range_t rgs[N];
	daos_array_iod_t iod = {.arr_rgs = rgs};
	d_iov_t iov;
	d_sg_list_t sgl = {.sg_nr = 1, .sg_iovs = &iov};
	uint64_t short_nr;
	daos_handle_t oh;
	int i;

	assert_int_equal(daos_obj_generate_oid(scene.coh, &oid, DAOS_OT_ARRAY_BYTE, OC_S1, 0, 0),
			 0);
	assert_int_equal(daos_array_open_with_attr(scene.coh, oid, DAOS_TX_NONE, DAOS_OO_RW, 1,
						   1 << 20, &oh, NULL),
			 0);
	scene_fill(data, N, 8);
	for (i = 0; i < N; i++)
		rgs[i] = (daos_range_t){.rg_idx = 2 * i, .rg_len = 1};
	iod.arr_nr = N;
	d_iov_set(&iov, data, N);
	/* beyond the limit for such small ranges */
	assert_int_equal(daos_array_write(oh, DAOS_TX_NONE, &iod, &sgl, NULL), -DER_NOTSUPPORTED);
	iod.arr_nr = 10000;
	d_iov_set(&iov, data, 10000);
	assert_int_equal(daos_array_write(oh, DAOS_TX_NONE, &iod, &sgl, NULL), 0);
	memset(back, 0xee, sizeof(back));
	scene_array_rw(oh, false, 0, 20000, back, &short_nr);
	assert_int_equal(short_nr, 1);
	for (i = 0; i < 10000; i++) {
		assert_int_equal(back[2 * i], data[i]);
		assert_int_equal(back[2 * i + 1], i < 9999 ? 0 : 0xee);
	}
	assert_int_equal(daos_array_destroy(oh, DAOS_TX_NONE, NULL), 0);
	assert_int_equal(daos_array_close(oh, NULL), 0);
}

/* --- events --- */

static int
count_cb(void *arg, daos_event_t *ev, int rc)
{
	(*(int *)arg)++;
	return 0;
}

void
scene_eq(void **state)
{
	enum { NR = 20 };
	daos_handle_t oh = scene_open_obj(DAOS_OT_MULTI_HASHED, OC_SX), eqh;
	daos_event_t evs[NR], *done[NR];
	struct scene_io o[NR];
	char keys[NR][8];
	int i, n, total = 0, called = 0;

	assert_int_equal(daos_eq_create(&eqh), 0);
	assert_int_equal(daos_eq_poll(eqh, 1, DAOS_EQ_WAIT, 1, done), 0);
	for (i = 0; i < NR; i++) {
		snprintf(keys[i], sizeof(keys[i]), "k%d", i);
		scene_one_single(&o[i], keys[i], "a", keys[i], 2);
		assert_int_equal(daos_event_init(&evs[i], eqh, NULL), 0);
		assert_int_equal(daos_event_register_comp_cb(&evs[i], count_cb, &called), 0);
		assert_int_equal(daos_obj_update(oh, DAOS_TX_NONE, 0, &o[i].dkey, 1, &o[i].iod,
						 &o[i].sgl, &evs[i]),
				 0);
	}
	assert_int_equal(daos_eq_query(eqh, DAOS_EQR_WAITING, 0, NULL) +
			     daos_eq_query(eqh, DAOS_EQR_COMPLETED, 0, NULL),
			 NR);
	while (total < NR) {
		n = daos_eq_poll(eqh, 1, 1000000, 3, done);
		assert_true(n > 0 && n <= 3);
		for (i = 0; i < n; i++)
			assert_int_equal(done[i]->ev_error, 0);
		total += n;
	}
	assert_int_equal(called, NR);
	assert_int_equal(daos_eq_destroy(eqh, 0), 0);
	assert_int_equal(daos_eq_poll(eqh, 0, 0, 1, done), -DER_NONEXIST);
	assert_int_equal(daos_obj_close(oh, NULL), 0);
}

void
scene_event_parent(void **state)
{
	daos_handle_t oh = scene_open_obj(DAOS_OT_MULTI_HASHED, OC_SX), eqh;
	daos_event_t parent, kids[3], *done[4];
	struct scene_io o[3];
	int i, called = 0;

	assert_int_equal(daos_eq_create(&eqh), 0);
	assert_int_equal(daos_event_init(&parent, eqh, NULL), 0);
	assert_int_equal(daos_event_parent_barrier(&parent), -DER_INVAL);
	for (i = 0; i < 3; i++)
		assert_int_equal(daos_event_init(&kids[i], eqh, &parent), 0);
	assert_ptr_equal(daos_event_next(&parent, NULL), &kids[0]);
	assert_ptr_equal(daos_event_next(&parent, &kids[0]), &kids[1]);
	assert_null(daos_event_next(&parent, &kids[2]));
	assert_int_equal(daos_event_register_comp_cb(&parent, count_cb, &called), 0);
	assert_int_equal(daos_event_parent_barrier(&parent), -DER_NO_PERM);
	for (i = 0; i < 3; i++) {
		scene_one_single(&o[i], i == 0 ? "x" : i == 1 ? "y" : "z", "a", "v", 1);
		assert_int_equal(daos_obj_update(oh, DAOS_TX_NONE,
						 i == 1 ? DAOS_COND_DKEY_UPDATE : 0, &o[i].dkey, 1,
						 &o[i].iod, &o[i].sgl, &kids[i]),
				 0);
	}
	assert_int_equal(daos_event_parent_barrier(&parent), 0);
	assert_int_equal(daos_eq_poll(eqh, 1, DAOS_EQ_WAIT, 4, done), 1);
	assert_ptr_equal(done[0], &parent);
	assert_int_equal(called, 1);
	assert_int_equal(parent.ev_error, -DER_NONEXIST);
	assert_int_equal(kids[0].ev_error, 0);
	assert_int_equal(kids[1].ev_error, -DER_NONEXIST);
	assert_int_equal(daos_event_fini(&parent), 0);
	assert_int_equal(daos_eq_destroy(eqh, 0), 0);
	assert_int_equal(daos_obj_close(oh, NULL), 0);
}

/* --- tasks --- */

static int
task_cb(tse_task_t *task, void *arg)
{
	(**(int **)arg)++;
	return 0;
}

void
scene_tasks(void **state)
{
	daos_handle_t oh = scene_open_obj(DAOS_OT_MULTI_HASHED, OC_SX);
	tse_task_t *write_task, *read_task, *bad;
	daos_obj_update_t *ua;
	daos_obj_fetch_t *fa;
	tse_sched_t sched;
	struct scene_io a, b;
	char c = 0;
	int called = 0, *calledp = &called;
	bool empty;

	assert_int_equal(tse_sched_init(&sched, NULL, NULL), 0);
	assert_int_equal(daos_task_create(DAOS_OPC_OBJ_SYNC, &sched, 0, NULL, &bad), -DER_NOSYS);
	assert_int_equal(daos_task_create(DAOS_OPC_OBJ_UPDATE, &sched, 0, NULL, &write_task), 0);
	assert_int_equal(daos_task_create(DAOS_OPC_OBJ_FETCH, &sched, 1, &write_task, &read_task),
			 0);
	scene_one_single(&a, "d", "a", "1", 1);
	ua = daos_task_get_args(write_task);
	ua->oh = oh;
	ua->dkey = &a.dkey;
	ua->nr = 1;
	ua->iods = &a.iod;
	ua->sgls = &a.sgl;
	scene_one_single(&b, "d", "a", &c, 1);
	fa = daos_task_get_args(read_task);
	fa->oh = oh;
	fa->dkey = &b.dkey;
	fa->nr = 1;
	fa->iods = &b.iod;
	fa->sgls = &b.sgl;
	assert_int_equal(tse_task_register_comp_cb(read_task, task_cb, &calledp, sizeof(calledp)),
			 0);
	assert_null(daos_task_set_priv(read_task, &c));
	assert_ptr_equal(daos_task_get_priv(read_task), &c);
	tse_task_addref(read_task);
	assert_int_equal(tse_task_schedule(read_task, false), 0);
	assert_int_equal(tse_task_schedule(write_task, true), 0);
	assert_int_equal(daos_progress(&sched, 0, &empty), 0);
	assert_false(empty);
	assert_int_equal(daos_progress(&sched, -1, &empty), 0);
	assert_true(empty);
	assert_int_equal(c, '1');
	assert_int_equal(called, 1);
	assert_int_equal(read_task->dt_result, 0);
	/* again, for something that fails */
	assert_int_equal(daos_task_reset(read_task, DAOS_OPC_OBJ_FETCH), 0);
	fa = daos_task_get_args(read_task);
	assert_null(fa->iods);
	fa->oh = oh;
	fa->dkey = &b.dkey;
	tse_task_addref(read_task);
	assert_int_equal(tse_task_schedule(read_task, false), 0);
	assert_int_equal(daos_progress(&sched, -1, &empty), 0);
	assert_true(empty);
	assert_int_equal(read_task->dt_result, -DER_INVAL);
	tse_task_decref(read_task);
	tse_sched_complete(&sched, 0, false);
	assert_int_equal(daos_obj_close(oh, NULL), 0);
}

/* --- what is not there --- */

void
scene_nosys(void **state)
{
	daos_obj_id_t oid = {.lo = 91};
	daos_handle_t th, oh;
	daos_epoch_t epoch;
	struct scene_io o;

	assert_int_equal(daos_tx_open(scene.coh, &th, 0, NULL), -DER_NOSYS);
	assert_int_equal(daos_cont_create_snap(scene.coh, &epoch, NULL, NULL), -DER_NOSYS);
	oid.hi = (uint64_t)OR_RS_2P1 << OID_FMT_CLASS_SHIFT | 1ull << OID_FMT_META_SHIFT;
	assert_true(daos_obj_open(scene.coh, oid, DAOS_OO_RW, &oh, NULL) < 0);
	oh = scene_open_obj(DAOS_OT_MULTI_HASHED, OC_S1);
	scene_one_single(&o, "d", "a", "v", 1);
	assert_int_equal(daos_obj_update(oh, scene.poh, 0, &o.dkey, 1, &o.iod, &o.sgl, NULL),
			 -DER_NO_HDL);
	assert_int_equal(daos_obj_close(oh, NULL), 0);
}
