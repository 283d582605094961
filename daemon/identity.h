/* identity.h - who a store is, and how far its clock has run.
 *
 * Two rows: "I" is written once (uuid, machine-id, secret of the row keys), "C" with every commit. */
#ifndef DAEMON_IDENTITY_H
#define DAEMON_IDENTITY_H

#include <stdint.h>

#include "daemon/store.h"

#define IDENTITY_ID_SIZE 16

struct identity {
	uint8_t uuid[IDENTITY_ID_SIZE];
	uint8_t machine[IDENTITY_ID_SIZE]; /* zero where the machine has none */
	uint8_t secret[STORE_SECRET_SIZE];
};

struct progress {
	uint64_t clock;   /* highest version, object id or stamp given out */
	uint64_t time_ms; /* daemon time */
	uint64_t listed_pages;
	uint32_t next_incarnation;
	uint8_t boot[IDENTITY_ID_SIZE];
};

/* STORE_MISS: a new store, the structs are untouched. */
int identity_read(struct snapshot *snapshot, struct identity *ret_identity);
int identity_write(const struct identity *identity, struct write *write);
int progress_read(struct snapshot *snapshot, struct progress *ret_progress);
int progress_write(const struct progress *progress, struct write *write);

/* Chooses a uuid and a secret. Returns 0 or -1. */
int identity_make(const uint8_t machine[static IDENTITY_ID_SIZE],
		  struct identity *ret_identity);
/* This machine's id, from the file (NULL: where systemd keeps it); zero where it has none. */
void identity_machine(const char *file, uint8_t ret_machine[static IDENTITY_ID_SIZE]);
/* This boot's id; zero where the kernel tells none. */
void identity_boot(uint8_t ret_boot[static IDENTITY_ID_SIZE]);

#endif
