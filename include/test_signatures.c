/*
 * Declares every public function once more, with the prototype that the interface prescribes. It
 * compiles only if the headers agree.
 */
#include <daos.h>
#include <daos_fs.h>
#include <daos_fs_sys.h>
#include <daos_pipeline.h>
#include <daos_s3.h>
#include <daos_task.h>
#include <daos_uns.h>
#include <daos/common.h>
#include <gurt/common.h>
#include <gurt/hash.h>
#include <gurt/heap.h>
#include <gurt/list.h>
#include <gurt/slab.h>
#include <gurt/telemetry_consumer.h>
#include <gurt/telemetry_producer.h>

#define DECLARE_inline(...)         static inline __VA_ARGS__;
#define DECLARE_libgurt(...)        extern __VA_ARGS__;
#define DECLARE_libdaos_common(...) extern __VA_ARGS__;
#define DECLARE_libdaos(...)        extern __VA_ARGS__;
#define DECLARE_libdfs(...)         extern __VA_ARGS__;
#define DECLARE_libduns(...)        extern __VA_ARGS__;
#define DECLARE_libds3(...)         extern __VA_ARGS__;

#define API(lib, name, ...) DECLARE_##lib(__VA_ARGS__)
#include "api_functions.inc"
#undef API
