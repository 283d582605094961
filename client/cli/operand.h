/* operand.h - what commands share: keys among their operands, and how answers show them. */
#ifndef CLI_OPERAND_H
#define CLI_OPERAND_H

#include "client/cli/cli.h"
#include "client/cli/json.h"

struct operand_key {
	struct brine_key room;
	const void
		*bytes; /* borrows room or the operand, so the struct stays where it is */
	size_t len;
};

/* Encodes a key as --key-as says. Returns EXIT_DONE, or EXIT_USAGE, reported. */
int operand_key(const struct cli *cli, const char *written, struct operand_key *ret_key);

/* --ack as an enum brine_ack. */
uint8_t operand_ack(const struct options *options);

/* How keys are shown, an enum keytext_form. */
int operand_form(const struct options *options);

/* "key", "type" and, where the former does not tell all, "raw" and "shortened". */
void operand_write_key(struct json *json, const struct cli *cli, const void *key,
		       size_t len);

/* "length", "codec" ... of an object; entry tells that of a scan, which says less. */
void operand_write_meta(struct json *json, const struct brine_meta *meta, bool entry);

#endif
