/* value.c - loads and dumps values, and the type Value: a value's memory, lent to the loader. */
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

/* Whoever wrote a pickle decides what code runs when it is loaded. So what the cache's own codec is not able or
 * not allowed to load is sorted out first, for every value, here: nothing else in the package loads any. */
static enum value_answer
load_dumped(struct state *state, const struct codec *codec, const struct trust *trust,
	    struct brine_value **value, PyObject **ret_object)
{
	const struct brine_meta *meta = brine_value_meta(*value);
	PyObject *memory, *object;

	if (codec_id(meta->codec) != codec_id(codec->number))
		return VALUE_UNKNOWN;
	if (codec_runs_code(meta->codec) && !trusted(trust, meta->writer_uid))
		return VALUE_STRANGER;
	if (!codec_loadable(meta->codec, codec->number))
		return VALUE_OTHER_PYTHON;
	memory = value_new(state, value);
	if (!memory)
		return VALUE_RAISED;
	object = PyObject_CallFunctionObjArgs(codec->loads, memory, NULL);
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
load_by_codec(struct state *state, const struct codec *codec, const struct trust *trust,
	      struct brine_value **value, PyObject **ret_object)
{
	const struct brine_meta *meta = brine_value_meta(*value);
	const char *data = brine_value_data(*value);
	Py_ssize_t len = (Py_ssize_t)brine_value_len(*value);

	if (meta->kind == BRINE_COUNTER)
		return load_counter(*value, ret_object);
	switch (codec_id(meta->codec)) {
	case CODEC_BYTES:
		return answer_of(PyBytes_FromStringAndSize(data, len), ret_object);
	case CODEC_TEXT:
		return answer_of(PyUnicode_DecodeUTF8(data, len, "strict"), ret_object);
	default:
		return load_dumped(state, codec, trust, value, ret_object);
	}
}

enum value_answer
value_load(struct state *state, const struct codec *codec, const struct trust *trust,
	   struct brine_value **value, PyObject **ret_object)
{
	enum value_answer answer = load_by_codec(state, codec, trust, value, ret_object);

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
	ret_encoded->object = NULL;
	ret_encoded->codec = CODEC_COUNTER;
	ret_encoded->kind = BRINE_COUNTER;
}

/* Takes the reference to object, which holds the bytes. */
static void
encode_blob(PyObject *object, const char *data, Py_ssize_t len, uint32_t codec,
	    struct encoded *ret_encoded)
{
	ret_encoded->object = object;
	ret_encoded->data = data;
	ret_encoded->len = (size_t)len;
	ret_encoded->codec = codec;
	ret_encoded->kind = BRINE_BLOB;
}

/* What every client reads: an int of 64 bits, bytes, and a str that has a UTF-8 encoding, no classes derived from
 * them. False: it is none of these. */
static bool
encode_natively(PyObject *object, struct encoded *ret_encoded)
{
	Py_ssize_t len;
	char *bytes;

	if (PyLong_CheckExact(object)) {
		int overflow;
		long long value = PyLong_AsLongLongAndOverflow(object, &overflow);

		if (!overflow)
			encode_counter(value, ret_encoded);
		return !overflow;
	}
	if (PyBytes_CheckExact(object)) {
		PyBytes_AsStringAndSize(object, &bytes, &len);
		Py_INCREF(object);
		encode_blob(object, bytes, len, CODEC_BYTES, ret_encoded);
		return true;
	}
	if (PyUnicode_CheckExact(object)) {
		const char *text = PyUnicode_AsUTF8AndSize(object, &len);

		if (text) {
			Py_INCREF(object);
			encode_blob(object, text, len, CODEC_TEXT, ret_encoded);
			return true;
		}
		PyErr_Clear(); /* a lone surrogate, which pickle takes */
	}
	return false;
}

/* From here on a dump has memory of its own. What was large last time is expected to be so again. */
#define LARGE_MIN ((Py_ssize_t)1 << 20)

static PyObject *
dump(const struct codec *codec, PyObject *object)
{
	if (codec->large && codec->dumps_large)
		return PyObject_CallFunction(codec->dumps_large, "On", object,
					     codec->large);
	return PyObject_CallFunctionObjArgs(codec->dumps, object, codec->protocol, NULL);
}

/* Where the bytes of a dump are: of a bytes object, or what a memoryview shows, which holds them as long as it lives.
 * 0 or -1. */
static int
find_bytes(PyObject *dumped, char **ret_bytes, Py_ssize_t *ret_len)
{
	Py_buffer view;

	if (!PyMemoryView_Check(dumped))
		return PyBytes_AsStringAndSize(dumped, ret_bytes, ret_len);
	if (PyObject_GetBuffer(dumped, &view, PyBUF_SIMPLE) < 0)
		return -1;
	*ret_bytes = view.buf;
	*ret_len = view.len;
	PyBuffer_Release(&view);
	return 0;
}

int
value_dump(struct codec *codec, PyObject *object, struct encoded *ret_encoded)
{
	PyObject *dumped;
	Py_ssize_t len;
	char *bytes;

	if (encode_natively(object, ret_encoded))
		return 0;
	dumped = dump(codec, object);
	if (!dumped)
		return -1;
	if (find_bytes(dumped, &bytes, &len) < 0) {
		Py_DECREF(dumped);
		return -1;
	}
	codec->large = len < LARGE_MIN ? 0 : len;
	encode_blob(dumped, bytes, len, codec->number, ret_encoded);
	return 0;
}

void
encoded_done(struct encoded *encoded)
{
	Py_CLEAR(encoded->object);
}

/* ---- codecs */

int
codec_init(struct codec *codec, PyObject *given)
{
	PyObject *dumps, *protocol, *loads, *dumps_large;
	unsigned number;

	if (!PyArg_ParseTuple(given, "IOOOO:codec", &number, &dumps, &protocol, &loads,
			      &dumps_large))
		return -1;
	*codec = (struct codec){
		.number = number,
		.dumps = Py_NewRef(dumps),
		.protocol = protocol == Py_None ? NULL : Py_NewRef(protocol),
		.loads = Py_NewRef(loads),
		.dumps_large = dumps_large == Py_None ? NULL : Py_NewRef(dumps_large),
	};
	return 0;
}

void
codec_done(struct codec *codec)
{
	Py_CLEAR(codec->dumps);
	Py_CLEAR(codec->protocol);
	Py_CLEAR(codec->loads);
	Py_CLEAR(codec->dumps_large);
}
