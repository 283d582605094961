/* key.c - encodes keys, and the type EncodedKey: a key of which only the encoding is known.
 * Owns nothing between calls. */
#include "client/python/key.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <structmember.h>

#include "client/python/encoding.h"
#include "client/python/state.h"

/* A text up to here is its own encoding. */
#define TEXT_PLAIN_MAX (BRINE_KEY_MAX - 1)

/* ---- tuples: encodings of any length */

static int
encoding_add_tagged(struct encoding *encoding, unsigned char tag, const void *bytes,
		    size_t len)
{
	if (encoding_add(encoding, &tag, 1) < 0)
		return -1;
	return encoding_add(encoding, bytes, len);
}

/* ---- one object */

static int
refuse(PyObject *object)
{
	PyObject *name =
		PyObject_GetAttrString((PyObject *)Py_TYPE(object), "__qualname__");

	if (!name)
		return -1;
	PyErr_Format(
		PyExc_TypeError,
		"a key is str, bytes, int, float, bool, None or a tuple of these, not %U; make one of "
		"the parts that tell your objects apart, such as (\"user\", user.id)",
		name);
	Py_DECREF(name);
	return -1;
}

/* Valid UTF-8 of a str, borrowed from it. */
static const char *
text_of(PyObject *object, Py_ssize_t *ret_len)
{
	const char *text = PyUnicode_AsUTF8AndSize(object, ret_len);

	if (!text && PyErr_ExceptionMatches(PyExc_UnicodeEncodeError))
		PyErr_SetString(PyExc_ValueError,
				"this str has a lone surrogate and is no key; "
				"use bytes, such as os.fsencode(name)");
	return text;
}

/* An int of more than 64 bits: int.to_bytes of the shortest length. Only int's own methods are called. */
static int
add_big_int(struct encoding *encoding, PyObject *object)
{
	PyObject *type = (PyObject *)&PyLong_Type, *bits = NULL, *bytes = NULL;
	PyObject *method = NULL, *args = NULL, *names = NULL, *flipped = NULL;
	Py_ssize_t len = 0;
	char *data;
	int result = -1;

	/* -256 needs as many bytes as 255. */
	flipped = PyObject_CallMethod(type, "__invert__", "O", object);
	bits = flipped ? PyObject_CallMethod(type, "bit_length", "O", flipped) : NULL;
	method = bits ? PyObject_GetAttrString(type, "to_bytes") : NULL;
	if (!method)
		goto out;
	len = PyLong_AsSsize_t(bits) / 8 + 1;
	args = Py_BuildValue("(Ons)", object, len, "big");
	names = Py_BuildValue("{s:O}", "signed", Py_True);
	bytes = args && names ? PyObject_Call(method, args, names) : NULL;
	if (bytes && PyBytes_AsStringAndSize(bytes, &data, &len) == 0)
		result = encoding_add_tagged(encoding, BRINE_KEY_INT, data, (size_t)len);
out:
	Py_XDECREF(flipped);
	Py_XDECREF(bits);
	Py_XDECREF(method);
	Py_XDECREF(args);
	Py_XDECREF(names);
	Py_XDECREF(bytes);
	return result;
}

static int
add_int(struct encoding *encoding, PyObject *object)
{
	unsigned char piece[BRINE_KEY_PIECE_MAX];
	int overflow;
	long long value = PyLong_AsLongLongAndOverflow(object, &overflow);

	if (overflow)
		return add_big_int(encoding, object);
	if (value == -1 && PyErr_Occurred())
		return -1;
	return encoding_add(encoding, piece, brine_key_put_int(value, piece));
}

static int
add_float(struct encoding *encoding, PyObject *object)
{
	unsigned char piece[BRINE_KEY_PIECE_MAX];
	double value = PyFloat_AsDouble(object);

	return encoding_add(encoding, piece, brine_key_put_float(value, piece));
}

static int
add_text(struct encoding *encoding, PyObject *object)
{
	Py_ssize_t len;
	const char *text = text_of(object, &len);

	return text ? encoding_add(encoding, text, (size_t)len) : -1;
}

static int
add_bytes(struct encoding *encoding, PyObject *object)
{
	Py_ssize_t len;
	char *bytes;

	if (PyBytes_AsStringAndSize(object, &bytes, &len) < 0)
		return -1;
	return encoding_add_tagged(encoding, BRINE_KEY_BYTES, bytes, (size_t)len);
}

static int add_object(struct encoding *encoding, PyObject *object);

/* An item's length stands before it and is known after it. */
static int
add_item(struct encoding *encoding, PyObject *item)
{
	unsigned char piece[BRINE_KEY_PIECE_MAX];
	size_t start = encoding->len, len, size;

	if (add_object(encoding, item) < 0)
		return -1;
	len = encoding->len - start;
	size = brine_key_put_length(len, piece);
	if (encoding_reserve(encoding, size) < 0)
		return -1;
	memmove(encoding->bytes + start + size, encoding->bytes + start, len);
	memcpy(encoding->bytes + start, piece, size);
	encoding->len += size;
	return 0;
}

/* Tuples in tuples. The interpreter's limit is no bound for the stack: programs raise it. */
#define DEPTH_MAX 500

static int
add_tuple(struct encoding *encoding, PyObject *object)
{
	Py_ssize_t count = PyTuple_Size(object);
	int result = encoding_add_tagged(encoding, BRINE_KEY_TUPLE, NULL, 0);

	if (encoding->depth == DEPTH_MAX) {
		PyErr_Format(PyExc_RecursionError,
			     "tuples in a key may be nested %d deep at most", DEPTH_MAX);
		return -1;
	}
	encoding->depth++;
	for (Py_ssize_t i = 0; i < count && result == 0; i++)
		result = add_item(encoding, PyTuple_GetItem(object, i));
	encoding->depth--;
	return result;
}

/* A scalar of numpy's that derives from none of Python's types, such as int64, is the key of the int, float or
 * bool that it equals. */
static int
add_scalar(struct encoding *encoding, PyObject *object)
{
	PyObject *keys = PyImport_ImportModule("brine._keys");
	PyObject *plain =
		keys ? PyObject_CallMethod(keys, "plain_scalar", "O", object) : NULL;
	int result = -1;

	Py_XDECREF(keys);
	if (plain == Py_None)
		result = refuse(object);
	else if (plain)
		result = add_object(encoding, plain);
	Py_XDECREF(plain);
	return result;
}

/* bool before int, which it derives from. */
static int
add_object(struct encoding *encoding, PyObject *object)
{
	unsigned char truth = object == Py_True;

	if (PyUnicode_Check(object))
		return add_text(encoding, object);
	if (PyBytes_Check(object))
		return add_bytes(encoding, object);
	if (PyBool_Check(object))
		return encoding_add_tagged(encoding, BRINE_KEY_BOOL, &truth, 1);
	if (PyLong_Check(object))
		return add_int(encoding, object);
	if (PyFloat_Check(object))
		return add_float(encoding, object);
	if (object == Py_None)
		return encoding_add_tagged(encoding, BRINE_KEY_NONE, NULL, 0);
	if (PyTuple_Check(object))
		return add_tuple(encoding, object);
	return add_scalar(encoding, object);
}

static int
encode_built(PyObject *object, struct key *ret_key)
{
	struct encoding encoding = { 0 };
	int result = add_object(&encoding, object);

	if (result == 0) {
		brine_key_begin(&ret_key->room);
		brine_key_add(&ret_key->room, encoding.bytes, encoding.len);
		ret_key->len = brine_key_end(&ret_key->room, &ret_key->data);
	}
	free(encoding.bytes);
	return result;
}

static int
encode_text(PyObject *object, struct key *ret_key)
{
	Py_ssize_t len;
	const char *text = text_of(object, &len);

	if (!text)
		return -1;
	if (len == 0) {
		PyErr_SetString(PyExc_ValueError,
				"an empty str is no key; the empty bytes b\"\" is one");
		return -1;
	}
	if (len <= TEXT_PLAIN_MAX) {
		ret_key->data = text;
		ret_key->len = (size_t)len;
	} else {
		ret_key->len =
			brine_key_text(&ret_key->room, text, (size_t)len, &ret_key->data);
	}
	return 0;
}

/* ---- EncodedKey */

struct encoded_key {
	PyObject ob_base;
	PyObject *encoded; /* bytes */
};

static int
encode_encoded(PyObject *object, struct key *ret_key)
{
	Py_ssize_t len;
	char *bytes;

	if (PyBytes_AsStringAndSize(((struct encoded_key *)object)->encoded, &bytes,
				    &len) < 0)
		return -1;
	ret_key->data = bytes;
	ret_key->len = (size_t)len;
	return 0;
}

int
key_encode(struct state *state, PyObject *object, struct key *ret_key)
{
	if (PyUnicode_Check(object))
		return encode_text(object, ret_key);
	if (PyObject_TypeCheck(object, state->key_type))
		return encode_encoded(object, ret_key);
	return encode_built(object, ret_key);
}

PyObject *
key_to_bytes(struct state *state, PyObject *object)
{
	struct key key;

	if (key_encode(state, object, &key) < 0)
		return NULL;
	return PyBytes_FromStringAndSize(key.data, (Py_ssize_t)key.len);
}

PyObject *
key_from_bytes(PyTypeObject *type, PyObject *encoded)
{
	PyObject *made = PyType_GenericAlloc(type, 0);

	if (made) {
		Py_INCREF(encoded);
		((struct encoded_key *)made)->encoded = encoded;
	}
	return made;
}

static PyObject *
encoded_key_new(PyTypeObject *type, PyObject *args, PyObject *names)
{
	static char *keywords[] = { "encoded", NULL };
	PyObject *encoded;
	Py_ssize_t len;
	char *bytes;

	if (!PyArg_ParseTupleAndKeywords(args, names, "S:EncodedKey", keywords, &encoded))
		return NULL;
	if (PyBytes_AsStringAndSize(encoded, &bytes, &len) < 0)
		return NULL;
	if (!brine_key_valid(bytes, (size_t)len))
		return PyErr_Format(PyExc_ValueError,
				    "these bytes are not an encoded key: %R", encoded);
	return key_from_bytes(type, encoded);
}

static void
encoded_key_dealloc(PyObject *self)
{
	PyTypeObject *type = Py_TYPE(self);
	freefunc release = (freefunc)PyType_GetSlot(type, Py_tp_free);

	Py_CLEAR(((struct encoded_key *)self)->encoded);
	release(self);
	Py_DECREF(type);
}

static Py_hash_t
encoded_key_hash(PyObject *self)
{
	return PyObject_Hash(((struct encoded_key *)self)->encoded);
}

static PyObject *
encoded_key_compare(PyObject *self, PyObject *other, int operation)
{
	struct state *state = state_of(Py_TYPE(self));

	if (!state)
		return NULL;
	if ((operation != Py_EQ && operation != Py_NE) ||
	    !PyObject_TypeCheck(other, state->key_type))
		Py_RETURN_NOTIMPLEMENTED;
	return PyObject_RichCompare(((struct encoded_key *)self)->encoded,
				    ((struct encoded_key *)other)->encoded, operation);
}

static PyObject *
encoded_key_reduce(PyObject *self, PyObject *unused)
{
	(void)unused;
	return Py_BuildValue("(O(O))", Py_TYPE(self),
			     ((struct encoded_key *)self)->encoded);
}

static PyMethodDef methods[] = {
	{ "__reduce__", encoded_key_reduce, METH_NOARGS, NULL },
	{ NULL, NULL, 0, NULL },
};

static PyMemberDef members[] = {
	{ "encoded", T_OBJECT_EX, offsetof(struct encoded_key, encoded), READONLY,
	  "The bytes as which the key travels." },
	{ NULL, 0, 0, 0, NULL },
};

static PyType_Slot slots[] = {
	{ Py_tp_new, encoded_key_new },
	{ Py_tp_dealloc, encoded_key_dealloc },
	{ Py_tp_hash, encoded_key_hash },
	{ Py_tp_richcompare, encoded_key_compare },
	{ Py_tp_methods, methods },
	{ Py_tp_members, members },
	{ 0, NULL },
};

PyType_Spec key_spec = {
	.name = "brine._brine.EncodedKey",
	.basicsize = sizeof(struct encoded_key),
	.flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_IMMUTABLETYPE,
	.slots = slots,
};
