/* What the parts of format_sample share: each makes one kind of file, and later checks it. */
#ifndef TESTS_FORMAT_SAMPLE_H
#define TESTS_FORMAT_SAMPLE_H

#include <stdio.h>
#include <string.h>

#include <daos_errno.h>

#include "runtime/xs.h"
#include "store/dev/dev.h"
#include "store/test_check.h"

#define SAMPLE_POOL   "5a5a5a5a-0000-4000-8000-000000000001"
#define SAMPLE_TARGET SAMPLE_POOL ".0"

/* Making leaves the files as a crash would; checking runs over an overlay. */
int co_fn target_make(struct dev_dir *dir, struct xs *xs);
int co_fn target_check(struct dev_dir *dir, struct xs *xs);
int co_fn superblock_make(struct dev_dir *dir, struct xs *xs);
int co_fn superblock_check(struct dev_dir *dir, struct xs *xs);
int co_fn service_make(struct dev_dir *dir, struct xs *xs);
int co_fn service_check(struct dev_dir *dir, struct xs *xs);

#endif
