/* value.c - loads and dumps values, and the type Value: a value's memory, lent to the unpickler. */
#include "client/python/value.h"

#include <stdbool.h>
#include <string.h>

#include "client/python/codec.h"
#include "client/python/state.h"

/* ---- the type Value: read-only bytes without a copy */

struct value {
	PyObject ob_base;
	struct brine_value *bytes;
};

static PyObject *
value_new(struct state *state, struct brine_value **bytes)
{
	PyObject *made = PyType_GenericAlloc(state->value_type, 0);

	if (!made)
		return NULL;
	((struct value *)made)->bytes = *bytes;
	*bytes = NULL;
	return made;
}

static void
value_dealloc(PyObject *self)
{
	PyTypeObject *type = Py_TYPE(self);
	freefunc release = (freefunc)PyType_GetSlot(type, Py_tp_free);

	brine_value_release(&((struct value *)self)->bytes);
	release(self);
	Py_DECREF(type);
}

static int
value_buffer(PyObject *self, Py_buffer *view, int flags)
{
	const struct brine_value *bytes = ((struct value *)self)->bytes;

	return PyBuffer_FillInfo(view, self, (void *)brine_value_data(bytes),
				 (Py_ssize_t)brine_value_len(bytes), 1, flags);
}

static PyType_Slot slots[] = {
	{ Py_tp_dealloc, value_dealloc },
	{ Py_bf_getbuffer, value_buffer },
	{ 0, NULL },
};

PyType_Spec value_spec = {
	.name = "brine._brine.Value",
	.basicsize = sizeof(struct value),
	.flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION |
		 Py_TPFLAGS_IMMUTABLETYPE,
	.slots = slots,
};

/* ---- loading */

/* What to make of a loader's result. */
static enum value_answer
answer_of(PyObject *object, PyObject **ret_object)
{
	if (object) {
		*ret_object = object;
		return VALUE_LOADED;
	}
	if (PyErr_ExceptionMatches(PyExc_Exception) &&
	    !PyErr_ExceptionMatches(PyExc_MemoryError))
		return VALUE_BROKEN;
	return VALUE_RAISED;
}

static bool
trusted(const struct trust *trust, uint32_t writer_uid)
{
	bool found = writer_uid == trust->uid;

	for (unsigned i = 0; i < trust->count && !found; i++)
		found = writer_uid == trust->others[i];
	return found && writer_uid != BRINE_NOBODY;
}

/* Whoever wrote a pickle decides what code runs when it is loaded. So the writer is looked at first, for
 * every pickle, here: nothing else in the package calls pickle.loads. */
static enum value_answer
load_pickle(struct state *state, const struct trust *trust, struct brine_value **value,
	    PyObject **ret_object)
{
	const struct brine_meta *meta = brine_value_meta(*value);
	PyObject *memory, *object;

	if (!trusted(trust, meta->writer_uid))
		return VALUE_STRANGER;
	if (!codec_pickle_loadable(meta->codec, state->codec))
		return VALUE_TOO_NEW;
	memory = value_new(state, value);
	if (!memory)
		return VALUE_RAISED;
	object = PyObject_CallFunctionObjArgs(state->loads, memory, NULL);
	Py_DECREF(memory);
	return answer_of(object, ret_object);
}

static enum value_answer
load_counter(const struct brine_value *value, PyObject **ret_object)
{
	const unsigned char *bytes = brine_value_data(value);
	uint64_t bits = 0;

	if (brine_value_len(value) != 8)
		return VALUE_UNKNOWN;
	for (int i = 7; i >= 0; i--)
		bits = bits << 8 | bytes[i];
	return answer_of(PyLong_FromLongLong((int64_t)bits), ret_object);
}

static enum value_answer
load_by_codec(struct state *state, const struct trust *trust, struct brine_value **value,
	      PyObject **ret_object)
{
	const struct brine_meta *meta = brine_value_meta(*value);
	const char *data = brine_value_data(*value);
	Py_ssize_t len = (Py_ssize_t)brine_value_len(*value);

	if (meta->kind == BRINE_COUNTER)
		return load_counter(*value, ret_object);
	switch (codec_id(meta->codec)) {
	case CODEC_PICKLE:
		return load_pickle(state, trust, value, ret_object);
	case CODEC_BYTES:
		return answer_of(PyBytes_FromStringAndSize(data, len), ret_object);
	case CODEC_TEXT:
		return answer_of(PyUnicode_DecodeUTF8(data, len, "strict"), ret_object);
	default:
		return VALUE_UNKNOWN;
	}
}

enum value_answer
value_load(struct state *state, const struct trust *trust, struct brine_value **value,
	   PyObject **ret_object)
{
	enum value_answer answer = load_by_codec(state, trust, value, ret_object);

	brine_value_release(value);
	return answer;
}

/* ---- dumping */

static void
encode_counter(long long value, struct encoded *ret_encoded)
{
	for (int i = 0; i < 8; i++)
		ret_encoded->counter[i] = (unsigned char)((uint64_t)value >> (8 * i));
	ret_encoded->data = ret_encoded->counter;
	ret_encoded->len = sizeof(ret_encoded->counter);
	ret_encoded->bytes = NULL;
	ret_encoded->codec = CODEC_COUNTER;
	ret_encoded->kind = BRINE_COUNTER;
}

int
value_dump(struct state *state, PyObject *object, struct encoded *ret_encoded)
{
	Py_ssize_t len;
	char *data;

	if (PyLong_CheckExact(object)) {
		int overflow;
		long long value = PyLong_AsLongLongAndOverflow(object, &overflow);

		if (!overflow) {
			encode_counter(value, ret_encoded);
			return 0;
		}
	}
	ret_encoded->bytes =
		PyObject_CallFunctionObjArgs(state->dumps, object, state->protocol, NULL);
	if (!ret_encoded->bytes)
		return -1;
	if (PyBytes_AsStringAndSize(ret_encoded->bytes, &data, &len) < 0) {
		Py_CLEAR(ret_encoded->bytes);
		return -1;
	}
	ret_encoded->data = data;
	ret_encoded->len = (size_t)len;
	ret_encoded->codec = state->codec;
	ret_encoded->kind = BRINE_BLOB;
	return 0;
}

void
encoded_done(struct encoded *encoded)
{
	Py_CLEAR(encoded->bytes);
}
