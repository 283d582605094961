/* module.c - the extension module _brine: its types and what it owns per interpreter. */
#include "client/python/state.h"

#include <stddef.h>
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

/* Where the state keeps each type. */
static const struct {
	size_t at;
	PyType_Spec *spec;
} types[] = {
	{ offsetof(struct state, async_client_type), &async_client_spec },
	{ offsetof(struct state, client_type), &client_spec },
	{ offsetof(struct state, key_type), &key_spec },
	{ offsetof(struct state, request_type), &request_spec },
	{ offsetof(struct state, scan_type), &scan_spec },
	{ offsetof(struct state, turn_type), &turn_spec },
	{ offsetof(struct state, value_type), &value_spec },
	{ offsetof(struct state, wire_type), &wire_spec },
};
#define TYPES (sizeof(types) / sizeof(types[0]))

static PyObject **
type_at(struct state *state, size_t i)
{
	return (PyObject **)((char *)state + types[i].at);
}

static int
add_type(PyObject *module, PyObject **ret_type, PyType_Spec *spec)
{
	*ret_type = PyType_FromModuleAndSpec(module, spec, NULL);
	return *ret_type ? PyModule_AddType(module, (PyTypeObject *)*ret_type) : -1;
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

	for (size_t i = 0; i < TYPES; i++)
		if (add_type(module, type_at(state, i), types[i].spec) < 0)
			return -1;
	state->set_result = PyUnicode_InternFromString("set_result");
	if (!state->set_result)
		return -1;
	if (PyModule_AddStringConstant(module, "version", brine_version()) < 0)
		return -1;
	return add_holders(state);
}

static int
module_traverse(PyObject *module, visitproc visit, void *arg)
{
	struct state *state = PyModule_GetState(module);

	for (size_t i = 0; i < TYPES; i++)
		Py_VISIT(*type_at(state, i));
	Py_VISIT(state->encode_other);
	return 0;
}

static int
module_clear(PyObject *module)
{
	struct state *state = PyModule_GetState(module);

	for (size_t i = 0; i < TYPES; i++)
		Py_CLEAR(*type_at(state, i));
	Py_CLEAR(state->set_result);
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
