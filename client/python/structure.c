/* structure.c - encodes what most arguments are, and asks Python about the rest. Owns nothing between calls. */
#include "client/python/structure.h"

#include <stdlib.h>
#include <string.h>

#include "client/brine.h"
#include "client/python/encoding.h"
#include "client/python/key.h"
#include "client/python/run.h"
#include "client/python/state.h"
#include "proto/blake2b.h"

/* Longer arguments are known by their digest only. */
#define ARGUMENTS_PLAIN_MAX 512
/* Of containers and objects inside each other: the stack must hold it whatever recursion the program allows itself. */
#define DEPTH_MAX 500

struct structure {
	struct state *state;
	struct encoding encoding;
};

/* Of this thread: what Python encodes comes back here with a structure of its own. */
static _Thread_local unsigned depth;

static int add_value(struct structure *structure, PyObject *value);

static int
add_tag(struct structure *structure, char tag)
{
	return encoding_add(&structure->encoding, &tag, 1);
}

static int
add_length(struct structure *structure, size_t len)
{
	unsigned char piece[BRINE_KEY_PIECE_MAX];

	return encoding_add(&structure->encoding, piece,
			    brine_key_put_length(len, piece));
}

/* ---- what Python knows */

static PyObject *
others_of(struct state *state)
{
	PyObject *module;

	if (state->encode_other)
		return state->encode_other;
	module = PyImport_ImportModule("brine._structure");
	if (!module)
		return NULL;
	state->encode_other = PyObject_GetAttrString(module, "encode_other");
	Py_DECREF(module);
	return state->encode_other;
}

static int
add_other(struct structure *structure, PyObject *value)
{
	PyObject *others = others_of(structure->state);
	PyObject *encoded =
		others ? PyObject_CallFunctionObjArgs(others, value, NULL) : NULL;
	Py_ssize_t len;
	char *bytes;
	int result = -1;

	if (encoded && PyBytes_AsStringAndSize(encoded, &bytes, &len) == 0)
		result = encoding_add(&structure->encoding, bytes, (size_t)len);
	Py_XDECREF(encoded);
	return result;
}

/* ---- numbers and texts */

/* As in keys, less the tag. */
static int
add_int(struct structure *structure, PyObject *value)
{
	unsigned char piece[BRINE_KEY_PIECE_MAX];
	int overflow;
	long long number = PyLong_AsLongLongAndOverflow(value, &overflow);
	size_t len;

	if (overflow)
		return add_other(structure, value);
	len = brine_key_put_int(number, piece) - 1;
	if (add_tag(structure, 'i') < 0 || add_length(structure, len) < 0)
		return -1;
	return encoding_add(&structure->encoding, piece + 1, len);
}

static int
add_double(struct structure *structure, double number)
{
	unsigned char piece[BRINE_KEY_PIECE_MAX];
	size_t len = brine_key_put_float(number, piece);

	return encoding_add(&structure->encoding, piece + 1, len - 1);
}

static int
add_float(struct structure *structure, PyObject *value)
{
	if (add_tag(structure, 'f') < 0)
		return -1;
	return add_double(structure, PyFloat_AsDouble(value));
}

static int
add_complex(struct structure *structure, PyObject *value)
{
	if (add_tag(structure, 'c') < 0 ||
	    add_double(structure, PyComplex_RealAsDouble(value)) < 0)
		return -1;
	return add_double(structure, PyComplex_ImagAsDouble(value));
}

static int
add_bytes(struct structure *structure, char tag, PyObject *value)
{
	Py_ssize_t len;
	char *bytes;

	if (PyBytes_AsStringAndSize(value, &bytes, &len) < 0 ||
	    add_tag(structure, tag) < 0)
		return -1;
	return run_add(&structure->encoding, bytes, (size_t)len, false);
}

/* Arguments may have lone surrogates: names of files do. */
static int
add_text(struct structure *structure, PyObject *value)
{
	Py_ssize_t len;
	const char *text = PyUnicode_AsUTF8AndSize(value, &len);
	PyObject *bytes;
	int result;

	if (text)
		return add_tag(structure, 's') < 0
			       ? -1
			       : run_add(&structure->encoding, text, (size_t)len, false);
	if (!PyErr_ExceptionMatches(PyExc_UnicodeEncodeError))
		return -1;
	PyErr_Clear();
	bytes = PyUnicode_AsEncodedString(value, "utf-8", "surrogatepass");
	result = bytes ? add_bytes(structure, 's', bytes) : -1;
	Py_XDECREF(bytes);
	return result;
}

/* ---- containers */

static int
add_tuple(struct structure *structure, PyObject *value)
{
	Py_ssize_t count = PyTuple_Size(value);

	if (add_tag(structure, '(') < 0 || add_length(structure, (size_t)count) < 0)
		return -1;
	for (Py_ssize_t i = 0; i < count; i++)
		if (add_value(structure, PyTuple_GetItem(value, i)) < 0)
			return -1;
	return 0;
}

static int
changed(void)
{
	PyErr_SetString(PyExc_RuntimeError, "an argument changed while its key was made");
	return -1;
}

/* Python code that an item brings along may change the list. */
static int
add_list(struct structure *structure, PyObject *value)
{
	Py_ssize_t count = PyList_Size(value);

	if (add_tag(structure, '[') < 0 || add_length(structure, (size_t)count) < 0)
		return -1;
	for (Py_ssize_t i = 0; i < count; i++) {
		PyObject *item = PyList_GetItem(value, i);
		int result;

		if (!item)
			return changed();
		Py_INCREF(item);
		result = add_value(structure, item);
		Py_DECREF(item);
		if (result < 0)
			return -1;
	}
	return PyList_Size(value) == count ? 0 : changed();
}

/* Where one item of a set or dict lies in the encoding. */
struct item {
	const struct encoding *encoding;
	size_t start, len;
};

static int
compare_items(const void *one, const void *other)
{
	const struct item *a = one, *b = other;
	size_t len = a->len < b->len ? a->len : b->len;
	int order =
		memcmp(a->encoding->bytes + a->start, b->encoding->bytes + b->start, len);

	return order ? order : (a->len > b->len) - (a->len < b->len);
}

/* Puts the items, which lie at the end, into the one order that they have in every process. */
static int
sort_items(struct structure *structure, struct item *items, size_t count)
{
	struct encoding *encoding = &structure->encoding;
	size_t start = items[0].start, at = 0;
	unsigned char *sorted = malloc(encoding->len - start);

	if (!sorted) {
		PyErr_NoMemory();
		return -1;
	}
	qsort(items, count, sizeof(*items), compare_items);
	for (size_t i = 0; i < count; i++) {
		memcpy(sorted + at, encoding->bytes + items[i].start, items[i].len);
		at += items[i].len;
	}
	memcpy(encoding->bytes + start, sorted, at);
	free(sorted);
	return 0;
}

/* value: NULL in a set. */
static int
add_item(struct structure *structure, PyObject *key, PyObject *value, struct item *item)
{
	int result;

	item->encoding = &structure->encoding;
	item->start = structure->encoding.len;
	result = add_value(structure, key);
	if (result == 0 && value)
		result = add_value(structure, value);
	item->len = structure->encoding.len - item->start;
	return result;
}

static int
add_pairs(struct structure *structure, PyObject *dict, struct item *items,
	  Py_ssize_t count)
{
	PyObject *key, *value;
	Py_ssize_t at = 0, i = 0;

	while (i < count && PyDict_Next(dict, &at, &key, &value)) {
		int result;

		Py_INCREF(key);
		Py_INCREF(value);
		result = add_item(structure, key, value, &items[i++]);
		Py_DECREF(key);
		Py_DECREF(value);
		if (result < 0)
			return -1;
	}
	return i == count && PyDict_Size(dict) == count ? 0 : changed();
}

static int
add_members(struct structure *structure, PyObject *set, struct item *items,
	    Py_ssize_t count)
{
	PyObject *iterator = PyObject_GetIter(set), *member;
	Py_ssize_t i = 0;
	int result = iterator ? 0 : -1;

	while (result == 0 && i < count && (member = PyIter_Next(iterator))) {
		result = add_item(structure, member, NULL, &items[i++]);
		Py_DECREF(member);
	}
	Py_XDECREF(iterator);
	if (result < 0 || PyErr_Occurred())
		return -1;
	return i == count && PySet_Size(set) == count ? 0 : changed();
}

static int
add_unordered(struct structure *structure, char tag, PyObject *value)
{
	Py_ssize_t count = tag == '{' ? PyDict_Size(value) : PySet_Size(value);
	struct item *items;
	int result;

	if (add_tag(structure, tag) < 0 || add_length(structure, (size_t)count) < 0)
		return -1;
	if (count == 0)
		return 0;
	items = calloc((size_t)count, sizeof(*items));
	if (!items) {
		PyErr_NoMemory();
		return -1;
	}
	result = tag == '{' ? add_pairs(structure, value, items, count)
			    : add_members(structure, value, items, count);
	if (result == 0)
		result = sort_items(structure, items, (size_t)count);
	free(items);
	return result;
}

/* ---- one value */

static int
add_container(struct structure *structure, PyObject *value)
{
	PyTypeObject *type = Py_TYPE(value);
	int result;

	if (depth == DEPTH_MAX) {
		PyErr_Format(PyExc_RecursionError, "nested over %d deep", DEPTH_MAX);
		return -1;
	}
	if (Py_EnterRecursiveCall(" in an argument"))
		return -1;
	depth++;
	if (type == &PyTuple_Type)
		result = add_tuple(structure, value);
	else if (type == &PyList_Type)
		result = add_list(structure, value);
	else if (type == &PyDict_Type)
		result = add_unordered(structure, '{', value);
	else if (type == &PySet_Type)
		result = add_unordered(structure, '<', value);
	else if (type == &PyFrozenSet_Type)
		result = add_unordered(structure, '>', value);
	else
		result = add_other(structure, value);
	depth--;
	Py_LeaveRecursiveCall();
	return result;
}

static int
add_value(struct structure *structure, PyObject *value)
{
	PyTypeObject *type = Py_TYPE(value);

	if (type == &PyUnicode_Type)
		return add_text(structure, value);
	if (type == &PyLong_Type)
		return add_int(structure, value);
	if (value == Py_None)
		return add_tag(structure, 'N');
	if (type == &PyBool_Type)
		return add_tag(structure, value == Py_True ? 'T' : 'F');
	if (type == &PyFloat_Type)
		return add_float(structure, value);
	if (type == &PyBytes_Type)
		return add_bytes(structure, 'b', value);
	if (type == &PyComplex_Type)
		return add_complex(structure, value);
	return add_container(structure, value);
}

/* ---- for Python */

/* An exception of ours for the one that says nothing to a user. */
static void
explain_recursion(PyObject *value)
{
	PyObject *name;

	if (!PyErr_ExceptionMatches(PyExc_RecursionError))
		return;
	PyErr_Clear();
	name = PyObject_GetAttrString((PyObject *)Py_TYPE(value), "__qualname__");
	if (name)
		PyErr_Format(
			PyExc_TypeError,
			"memoize has no key by content for this %U: it contains itself, "
			"or is nested too deeply; give its class a __brine_key__ method, "
			"or pass the parts that matter",
			name);
	Py_XDECREF(name);
}

static int
add_or_explain(struct structure *structure, PyObject *value)
{
	int result = add_value(structure, value);

	if (result < 0)
		explain_recursion(value);
	return result;
}

PyObject *
structure_encode(PyObject *module, PyObject *const *args, Py_ssize_t count)
{
	struct structure structure = { .state = PyModule_GetState(module) };
	PyObject *made = NULL;
	Py_ssize_t i = 0;

	while (i < count && add_or_explain(&structure, args[i]) == 0)
		i++;
	if (i == count)
		made = PyBytes_FromStringAndSize((char *)structure.encoding.bytes,
						 (Py_ssize_t)structure.encoding.len);
	free(structure.encoding.bytes);
	return made;
}

/* Puts the digest into the place of what stands behind `start`, where that is long. */
static int
shorten(struct encoding *encoding, size_t start)
{
	unsigned char digest[BLAKE2B_DIGEST];
	struct blake2b hash;

	if (encoding->len - start <= ARGUMENTS_PLAIN_MAX)
		return 0;
	blake2b_begin(&hash);
	blake2b_add(&hash, encoding->bytes + start, encoding->len - start);
	blake2b_end(&hash, digest);
	encoding->bytes[start - 1] = '#';
	encoding->len = start;
	return encoding_add(encoding, digest, sizeof(digest));
}

static int
add_call(struct structure *structure, PyObject *prefix, PyObject *values)
{
	struct encoding *encoding = &structure->encoding;
	Py_ssize_t len, count = PyTuple_Size(values);
	size_t start;
	char *bytes;

	if (count < 0 || PyBytes_AsStringAndSize(prefix, &bytes, &len) < 0 ||
	    encoding_add(encoding, bytes, (size_t)len) < 0 || add_tag(structure, '=') < 0)
		return -1;
	start = encoding->len;
	for (Py_ssize_t i = 0; i < count; i++)
		if (add_or_explain(structure, PyTuple_GetItem(values, i)) < 0)
			return -1;
	return shorten(encoding, start);
}

PyObject *
structure_encode_call(PyObject *module, PyObject *const *args, Py_ssize_t count)
{
	struct structure structure = { .state = PyModule_GetState(module) };
	PyObject *encoded = NULL, *key = NULL;

	if (count != 3 || !PyType_Check(args[2]) ||
	    !PyType_IsSubtype((PyTypeObject *)args[2], structure.state->key_type)) {
		PyErr_SetString(
			PyExc_TypeError,
			"encode_call() takes bytes, a tuple and a type of EncodedKey");
		return NULL;
	}
	if (add_call(&structure, args[0], args[1]) == 0)
		encoded = PyBytes_FromStringAndSize((char *)structure.encoding.bytes,
						    (Py_ssize_t)structure.encoding.len);
	free(structure.encoding.bytes);
	if (encoded)
		key = key_from_bytes((PyTypeObject *)args[2], encoded);
	Py_XDECREF(encoded);
	return key;
}
