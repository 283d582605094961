/* tags.c - tags as Python gives them. Owns nothing. */
#include "client/python/arguments.h"
#include "client/python/client.h"

/* 0 or -1. */
static int
add_tag(PyObject *tag, unsigned char *tags, size_t *len)
{
	const char *text;
	Py_ssize_t size;

	if (!PyUnicode_Check(tag)) {
		PyErr_Format(PyExc_TypeError, "tags: a tag is a str, not %.80R", tag);
		return -1;
	}
	text = PyUnicode_AsUTF8AndSize(tag, &size);
	if (!text)
		return -1;
	if (brine_tags_add(tags, len, text, (size_t)size) == BRINE_DONE)
		return 0;
	PyErr_Format(PyExc_ValueError,
		     "tags: %.80R: an object has at most 16 tags, of 1 to 255 bytes each",
		     tag);
	return -1;
}

int
tags_encode(PyObject *given, unsigned char tags[BRINE_TAGS_SIZE], size_t *ret_len)
{
	PyObject *items;
	Py_ssize_t count, i = 0;
	size_t len = 0;

	items = argument_list(given, "tags", "a list of tags");
	if (!items)
		return -1;
	count = PyList_Size(items);
	while (i < count && add_tag(PyList_GetItem(items, i), tags, &len) == 0)
		i++;
	Py_DECREF(items);
	if (i < count)
		return -1;
	*ret_len = len;
	return 0;
}
