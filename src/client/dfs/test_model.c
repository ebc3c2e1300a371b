/* libdfs against this machine's own file system, by random calls. */
#include "client/dfs/test_dfs.h"
#include "dfs_model.h"

enum { SEEDS = 10, STEPS = 600 };

static void
test_model(void **state)
{
	struct dfs_model_conf conf = {.steps = STEPS};
	dfs_t *dfs = t_dfs;
	daos_handle_t coh;
	uuid_t uuid;

	for (conf.seed = 1; conf.seed <= SEEDS; conf.seed++) {
		ok(dfs_cont_create(t_poh, &uuid, NULL, &coh, &dfs));
		dfs_model_run(dfs, &conf);
		ok(dfs_umount(dfs));
		ok(daos_cont_close(coh, NULL));
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_model, t_setup, t_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
