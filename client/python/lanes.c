/* lanes.c - takes, gives and makes the handles of one Cache. */
#include "client/python/lanes.h"

#include <stdlib.h>
#include <string.h>

/* Called without the GIL, in the thread that waits; takes it back for the handlers' time. */
static int
on_signal(void *arg)
{
	struct lane *lane = arg;
	int raised;

	PyEval_RestoreThread(lane->thread);
	raised = PyErr_CheckSignals();
	lane->thread = PyEval_SaveThread();
	return raised;
}

static void
lane_close(struct lane *lane)
{
	if (!lane)
		return;
	brine_close(&lane->brine);
	free(lane);
}

static int
lane_open(const struct brine_options *shared, struct lane **ret_lane)
{
	struct brine_options options = *shared;
	struct lane *lane = calloc(1, sizeof(*lane));
	int result;

	if (!lane)
		return -BRINE_ERROR_LOCAL_MEMORY;
	options.interrupted = on_signal;
	options.interrupted_arg = lane;
	result = brine_open(&options, &lane->brine);
	if (result < 0)
		lane_close(lane);
	else
		*ret_lane = lane;
	return result;
}

static int
copy_text(const char *text, const char **ret_copy)
{
	*ret_copy = text ? strdup(text) : NULL;
	return text && !*ret_copy ? -1 : 0;
}

int
lanes_init(struct lanes *lanes, const struct brine_options *options)
{
	struct lane *lane;
	int result;

	lanes->options = *options;
	lanes->options.silence = &lanes->silence;
	if (copy_text(options->socket, &lanes->options.socket) |
	    copy_text(options->namespace_name, &lanes->options.namespace_name) |
	    copy_text(options->daemon, &lanes->options.daemon))
		return -BRINE_ERROR_LOCAL_MEMORY;
	result = lane_open(&lanes->options, &lane);
	if (result == 0)
		lanes_give(lanes, lane);
	return result;
}

void
lanes_done(struct lanes *lanes)
{
	lanes_drain(lanes);
	free((char *)lanes->options.socket);
	free((char *)lanes->options.namespace_name);
	free((char *)lanes->options.daemon);
	memset(&lanes->options, 0, sizeof(lanes->options));
}

struct lane *
lanes_take(struct lanes *lanes)
{
	struct lane *lane;

	for (int i = 0; i < LANES_IDLE; i++) {
		lane = atomic_exchange(&lanes->idle[i], NULL);
		if (lane) {
			lane->busy = true;
			return lane;
		}
	}
	/* The options were good once: only memory can fail. */
	if (lane_open(&lanes->options, &lane) < 0) {
		PyErr_NoMemory();
		return NULL;
	}
	lane->busy = true;
	return lane;
}

void
lanes_give(struct lanes *lanes, struct lane *lane)
{
	struct lane *none;

	lane->busy = false;
	if (lane->leases)
		return;
	if (lane->spoiled) {
		lane_close(lane);
		return;
	}
	for (int i = 0; i < LANES_IDLE; i++) {
		none = NULL;
		if (atomic_compare_exchange_strong(&lanes->idle[i], &none, lane))
			return;
	}
	lane_close(lane);
}

void
lanes_drain(struct lanes *lanes)
{
	for (int i = 0; i < LANES_IDLE; i++)
		lane_close(atomic_exchange(&lanes->idle[i], NULL));
}

/* ---- leases */

void
lane_pin(struct lane *lane)
{
	lane->leases++;
	lane->owner = PyThread_get_thread_ident();
}

void
lanes_unpin(struct lanes *lanes, struct lane *lane)
{
	lane->leases--;
	if (!lane->busy)
		lanes_give(lanes, lane);
}

bool
lanes_drop(struct lane *lane)
{
	if (lane->leases > 1 || lane->busy)
		return false;
	lane_close(lane);
	return true;
}

bool
lane_take_again(struct lane *lane)
{
	if (lane->busy || lane->owner != PyThread_get_thread_ident())
		return false;
	lane->busy = true;
	return true;
}
