/*
 * Bytes of the superblock. Little-endian; "v" is a varint, "str" a length and bytes (base/codec.h).
 *
 *	device:	two slots of SB_SLOT_BYTES, written in turn
 *	slot:	magic 8 | version 4 | crc32c 4 | seq 8 | body length 4 | 0 4 | body
 *	body:	uuid 16 | system uuid 16 | system name str | rank 4 | target_nr 4 | epoch_ceiling 8
 *		| v pool_nr, (uuid 16, scm 8, nvme 8, data_thresh 4) each | v uri_nr, str each
 *
 * The checksum covers everything behind it up to the end of the body.
 */
#ifndef SERVER_SUPERBLOCK_FORMAT_H
#define SERVER_SUPERBLOCK_FORMAT_H

#define SB_MAGIC 0x31424e4745534f44ull /* "DOSEGNB1" */

enum {
	SB_VERSION = 1,
	SB_SLOT_BYTES = 64 * 1024,
	SB_HEAD_BYTES = 32,
	SB_CRC_FROM = 16, /* first byte covered */
};

#endif
