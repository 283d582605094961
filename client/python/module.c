/* module.c - the extension module _brine: its types and what it owns per interpreter. */
#include "client/python/state.h"

#include <sys/random.h>

#include "client/python/client.h"
#include "client/python/key.h"
#include "client/python/run.h"
#include "client/python/structure.h"

static PyObject *
module_encode_key(PyObject *module, PyObject *key)
{
	return key_to_bytes(PyModule_GetState(module), key);
}

static PyObject *
module_encode_tags(PyObject *module, PyObject *given)
{
	unsigned char tags[BRINE_TAGS_SIZE];
	size_t len;

	(void)module;
	if (tags_encode(given, tags, &len) < 0)
		return NULL;
	return PyBytes_FromStringAndSize((char *)tags, (Py_ssize_t)len);
}

static PyMethodDef methods[] = {
	{ "encode_key", module_encode_key, METH_O,
	  "encode_key($module, key, /)\n--\n\nThe bytes as which a key travels." },
	{ "encode_tags", module_encode_tags, METH_O,
	  "encode_tags($module, tags, /)\n--\n\nThe bytes as which tags travel." },
	{ "encode_structure", (PyCFunction)(void (*)(void))structure_encode,
	  METH_FASTCALL, "encode_structure(*values): arguments by content, as bytes" },
	{ "encode_call", (PyCFunction)(void (*)(void))structure_encode_call,
	  METH_FASTCALL, "encode_call(prefix, values, type): a call's key" },
	{ "encode_run", (PyCFunction)(void (*)(void))run_encode, METH_FASTCALL,
	  "encode_run(buffer, numbers=False): a length and the bytes, or their digest" },
	{ NULL, NULL, 0, NULL },
};

static PyTypeObject *
add_type(PyObject *module, PyType_Spec *spec)
{
	PyObject *type = PyType_FromModuleAndSpec(module, spec, NULL);

	if (type && PyModule_AddType(module, (PyTypeObject *)type) < 0)
		Py_CLEAR(type);
	return (PyTypeObject *)type;
}

/* Two interpreters must not come upon the same holder ids. */
static int
add_holders(struct state *state)
{
	ssize_t len = getrandom(&state->holder_base, sizeof(state->holder_base), 0);

	if (len == sizeof(state->holder_base))
		return 0;
	PyErr_SetFromErrno(PyExc_OSError);
	return -1;
}

static int
module_exec(PyObject *module)
{
	struct state *state = PyModule_GetState(module);

	state->client_type = add_type(module, &client_spec);
	state->scan_type = add_type(module, &scan_spec);
	state->turn_type = add_type(module, &turn_spec);
	state->value_type = add_type(module, &value_spec);
	state->key_type = add_type(module, &key_spec);
	if (!state->client_type || !state->scan_type || !state->turn_type ||
	    !state->value_type || !state->key_type)
		return -1;
	if (PyModule_AddStringConstant(module, "version", brine_version()) < 0)
		return -1;
	return add_holders(state);
}

static int
module_traverse(PyObject *module, visitproc visit, void *arg)
{
	struct state *state = PyModule_GetState(module);

	Py_VISIT(state->client_type);
	Py_VISIT(state->scan_type);
	Py_VISIT(state->turn_type);
	Py_VISIT(state->value_type);
	Py_VISIT(state->key_type);
	Py_VISIT(state->encode_other);
	return 0;
}

static int
module_clear(PyObject *module)
{
	struct state *state = PyModule_GetState(module);

	Py_CLEAR(state->client_type);
	Py_CLEAR(state->scan_type);
	Py_CLEAR(state->turn_type);
	Py_CLEAR(state->value_type);
	Py_CLEAR(state->key_type);
	Py_CLEAR(state->encode_other);
	return 0;
}

static void
module_free(void *module)
{
	module_clear(module);
}

static PyModuleDef_Slot slots[] = {
	{ Py_mod_exec, module_exec },
	{ 0, NULL },
};

static struct PyModuleDef definition = {
	PyModuleDef_HEAD_INIT,
	.m_name = "brine._brine",
	.m_doc = "libbrine for Python. Use the package brine.",
	.m_size = sizeof(struct state),
	.m_methods = methods,
	.m_slots = slots,
	.m_traverse = module_traverse,
	.m_clear = module_clear,
	.m_free = module_free,
};

struct state *
state_of(PyTypeObject *type)
{
	PyObject *module;

	/* PyType_GetModuleByDef() is not in the limited API of 3.11. */
	for (; type; type = PyType_GetSlot(type, Py_tp_base)) {
		module = PyType_GetModule(type);
		if (module && PyModule_GetDef(module) == &definition)
			return PyModule_GetState(module);
		PyErr_Clear();
	}
	PyErr_SetString(PyExc_SystemError, "not a type of brine._brine");
	return NULL;
}

PyMODINIT_FUNC PyInit__brine(void);

PyMODINIT_FUNC
PyInit__brine(void)
{
	return PyModuleDef_Init(&definition);
}
