/* results.c - errors as names, classes and sentences; holds the public numbers against errors.def. Pure. */
#include <stddef.h>

#include "client/brine.h"
#include "proto/errors.h"
#include "proto/key.h"
#include "proto/message.h"

#define E(name, number, class, text)                                                     \
	_Static_assert((int)BRINE_ERROR_##name == number, "errors.def");
#include "proto/errors.def"
#undef E

_Static_assert((int)BRINE_OUTAGE == CLASS_OUTAGE, "class");
_Static_assert((int)BRINE_REFUSAL == CLASS_REFUSAL, "class");
_Static_assert((int)BRINE_CONDITION == CLASS_CONDITION, "class");
_Static_assert((int)BRINE_HIT == STATUS_DONE && (int)BRINE_MISS == STATUS_MISS, "status");
_Static_assert((int)BRINE_IF_ABSENT == CONDITION_ABSENT, "condition");
_Static_assert((int)BRINE_IF_PRESENT == CONDITION_PRESENT, "condition");
_Static_assert((int)BRINE_IF_VERSION == CONDITION_VERSION, "condition");
_Static_assert((int)BRINE_ACK_MEMORY == ACK_MEMORY && (int)BRINE_ACK_DISK == ACK_DISK,
	       "ack");
_Static_assert((int)BRINE_BLOB == OBJECT_BLOB && (int)BRINE_COUNTER == OBJECT_COUNTER,
	       "kind");
_Static_assert(
	(int)BRINE_PING == COMMAND_PING && (int)BRINE_GET == COMMAND_GET &&
		(int)BRINE_PUT == COMMAND_PUT && (int)BRINE_DELETE == COMMAND_DELETE &&
		(int)BRINE_TOUCH == COMMAND_TOUCH && (int)BRINE_META == COMMAND_META &&
		(int)BRINE_SCAN == COMMAND_SCAN && (int)BRINE_FLUSH == COMMAND_FLUSH &&
		(int)BRINE_STATS == COMMAND_STATS && (int)BRINE_SYNC == COMMAND_SYNC &&
		(int)BRINE_INCR == COMMAND_INCR &&
		(int)BRINE_INVALIDATE == COMMAND_INVALIDATE &&
		(int)BRINE_TAKE == COMMAND_TAKE && (int)BRINE_BATCH == COMMAND_BATCH &&
		(int)BRINE_RELEASE == COMMAND_RELEASE &&
		(int)BRINE_RESUME == COMMAND_RESUME &&
		(int)BRINE_CONFIG == COMMAND_CONFIG &&
		(int)BRINE_VERIFY == COMMAND_VERIFY,
	"commands.def");
_Static_assert((int)BRINE_KEY_BYTES == KEY_BYTES && (int)BRINE_KEY_INT == KEY_INT &&
		       (int)BRINE_KEY_FLOAT == KEY_FLOAT &&
		       (int)BRINE_KEY_BOOL == KEY_BOOL &&
		       (int)BRINE_KEY_NONE == KEY_NONE &&
		       (int)BRINE_KEY_TUPLE == KEY_TUPLE &&
		       (int)BRINE_KEY_CALL == KEY_CALL && BRINE_KEY_MAX == KEY_MAX,
	       "key.h");
_Static_assert(sizeof(((struct brine_reply *)0)->cursor) == MESSAGE_CURSOR_MAX &&
		       sizeof(((struct brine_place *)0)->cursor) == MESSAGE_CURSOR_MAX,
	       "cursor");

static int
number(int error)
{
	return error < 0 ? -error : error;
}

enum brine_class
brine_error_class(int error)
{
	return (enum brine_class)error_class(number(error));
}

const char *
brine_error_name(int error)
{
	return error_name(number(error));
}

const char *
brine_error_text(int error)
{
	return error_text(number(error));
}

const char *
brine_version(void)
{
	return BRINE_VERSION;
}
