/* spool.h - a file without a name, for what arrives faster than it is taken. */
#ifndef CLI_SPOOL_H
#define CLI_SPOOL_H

#include <stddef.h>
#include <stdint.h>

struct spool {
	int fd;
	uint64_t len;
};

/* In $TMPDIR, else /var/tmp, as values may be larger than memory. Returns 0 or -errno. */
int spool_open(struct spool *spool);

/* Adds all of it, or nothing. Returns 0 or -errno. */
int spool_add(struct spool *spool, const void *bytes, size_t len);

/* Reads from the position on; 0 at the end. Returns the count or -errno. */
int64_t spool_read(const struct spool *spool, uint64_t position, void *to, size_t size);

void spool_close(struct spool *spool);

#endif
