/* identity.c - the two rows, and where their contents come from. Start and writer thread. */
#include "daemon/identity.h"

#include <fcntl.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "proto/bytes.h"

#define IDENTITY_ROW (2 * IDENTITY_ID_SIZE + STORE_SECRET_SIZE)
#define PROGRESS_ROW (32 + IDENTITY_ID_SIZE)
#define MACHINE_FILE "/etc/machine-id"
#define BOOT_FILE "/proc/sys/kernel/random/boot_id"

int
identity_read(struct snapshot *snapshot, struct identity *ret_identity)
{
	struct slice row;
	const uint8_t *at;
	int found = snapshot_get(snapshot, STORE_SYSTEM, slice_text("I"), &row);

	if (found != STORE_HIT)
		return found;
	if (row.len != IDENTITY_ROW)
		return STORE_DAMAGED;
	at = row.data;
	memcpy(ret_identity->uuid, at, IDENTITY_ID_SIZE);
	memcpy(ret_identity->machine, at + IDENTITY_ID_SIZE, IDENTITY_ID_SIZE);
	memcpy(ret_identity->secret, at + 2 * IDENTITY_ID_SIZE, STORE_SECRET_SIZE);
	return STORE_HIT;
}

int
identity_write(const struct identity *identity, struct write *write)
{
	uint8_t row[IDENTITY_ROW];

	memcpy(row, identity->uuid, IDENTITY_ID_SIZE);
	memcpy(row + IDENTITY_ID_SIZE, identity->machine, IDENTITY_ID_SIZE);
	memcpy(row + 2 * IDENTITY_ID_SIZE, identity->secret, STORE_SECRET_SIZE);
	return write_put(write, STORE_SYSTEM, slice_text("I"), slice(row, sizeof(row)));
}

int
progress_read(struct snapshot *snapshot, struct progress *ret_progress)
{
	struct slice row;
	const uint8_t *at;
	int found = snapshot_get(snapshot, STORE_SYSTEM, slice_text("C"), &row);

	if (found != STORE_HIT)
		return found;
	if (row.len != PROGRESS_ROW)
		return STORE_DAMAGED;
	at = row.data;
	ret_progress->clock = le64_load(at);
	ret_progress->time_ms = le64_load(at + 8);
	ret_progress->listed_pages = le64_load(at + 16);
	ret_progress->next_incarnation = le32_load(at + 24);
	memcpy(ret_progress->boot, at + 32, IDENTITY_ID_SIZE);
	return STORE_HIT;
}

int
progress_write(const struct progress *progress, struct write *write)
{
	uint8_t row[PROGRESS_ROW] = { 0 };

	le64_store(row, progress->clock);
	le64_store(row + 8, progress->time_ms);
	le64_store(row + 16, progress->listed_pages);
	le32_store(row + 24, progress->next_incarnation);
	memcpy(row + 32, progress->boot, IDENTITY_ID_SIZE);
	return write_put(write, STORE_SYSTEM, slice_text("C"), slice(row, sizeof(row)));
}

/* Reads 128 bits written in hexadecimal, with or without hyphens. Zero where there is no such file. */
static void
read_id(const char *file, uint8_t to[static IDENTITY_ID_SIZE])
{
	char text[64];
	unsigned digits = 0;
	int fd = open(file, O_RDONLY | O_CLOEXEC);
	ssize_t len = fd < 0 ? -1 : read(fd, text, sizeof(text));

	if (fd >= 0)
		close(fd);
	memset(to, 0, IDENTITY_ID_SIZE);
	for (ssize_t i = 0; i < len && digits < 2 * IDENTITY_ID_SIZE; i++) {
		const char *digit = text[i] ? strchr("0123456789abcdef", text[i]) : NULL;

		if (!digit)
			continue;
		to[digits / 2] |=
			(uint8_t)((digit - "0123456789abcdef") << (digits % 2 ? 0 : 4));
		digits++;
	}
}

void
identity_machine(const char *file, uint8_t ret_machine[static IDENTITY_ID_SIZE])
{
	read_id(file ? file : MACHINE_FILE, ret_machine);
}

int
identity_make(const uint8_t machine[static IDENTITY_ID_SIZE],
	      struct identity *ret_identity)
{
	if (getrandom(ret_identity->uuid, IDENTITY_ID_SIZE, 0) != IDENTITY_ID_SIZE ||
	    getrandom(ret_identity->secret, STORE_SECRET_SIZE, 0) != STORE_SECRET_SIZE)
		return -1;
	memcpy(ret_identity->machine, machine, IDENTITY_ID_SIZE);
	return 0;
}

void
identity_boot(uint8_t ret_boot[static IDENTITY_ID_SIZE])
{
	read_id(BOOT_FILE, ret_boot);
}
