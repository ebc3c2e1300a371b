/* CRC-32C (Castagnoli), the form of iSCSI and ext4: initial value and result inverted. */
#ifndef BASE_CRC_H
#define BASE_CRC_H

#include <stddef.h>
#include <stdint.h>

/* Continue a checksum: crc is 0 for the first piece, then the result so far. */
uint32_t crc32c(uint32_t crc, const void *buf, size_t len);

#endif
