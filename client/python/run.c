/* run.c - hashes large runs of bytes. Owns nothing. The one file here that knows xxHash, of which it takes the code
 * into itself: nobody has to have the library. */
#include "client/python/run.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "client/brine.h"
#include "proto/blake2b.h"

/* Below this, giving the GIL back takes longer than hashing. */
#define GIL_KEPT_MAX ((size_t)64 << 10)

static void
digest(const void *bytes, size_t len, unsigned char ret_digest[static BLAKE2B_DIGEST])
{
	struct blake2b hash;

	blake2b_begin(&hash);
	blake2b_add(&hash, bytes, len);
	blake2b_end(&hash, ret_digest);
}

static int
add_hashed(struct encoding *encoding, const void *bytes, size_t len, bool numbers)
{
	unsigned char hash[BLAKE2B_DIGEST];
	XXH128_canonical_t canonical;
	PyThreadState *thread = len > GIL_KEPT_MAX ? PyEval_SaveThread() : NULL;
	bool fast = numbers && len >= RUN_NUMBERS_MIN;

	if (fast)
		XXH128_canonicalFromHash(&canonical, XXH3_128bits(bytes, len));
	else
		digest(bytes, len, hash);
	if (thread)
		PyEval_RestoreThread(thread);
	if (fast)
		return encoding_add(encoding, canonical.digest, sizeof(canonical.digest));
	return encoding_add(encoding, hash, sizeof(hash));
}

int
run_add(struct encoding *encoding, const void *bytes, size_t len, bool numbers)
{
	unsigned char piece[BRINE_KEY_PIECE_MAX];

	if (encoding_add(encoding, piece, brine_key_put_length(len, piece)) < 0)
		return -1;
	if (len <= RUN_PLAIN_MAX)
		return encoding_add(encoding, bytes, len);
	return add_hashed(encoding, bytes, len, numbers);
}

PyObject *
run_encode(PyObject *module, PyObject *const *args, Py_ssize_t count)
{
	struct encoding encoding = { 0 };
	PyObject *made = NULL;
	Py_buffer buffer;

	(void)module;
	if (count < 1 || count > 2) {
		PyErr_SetString(PyExc_TypeError, "encode_run() takes 1 or 2 arguments");
		return NULL;
	}
	if (PyObject_GetBuffer(args[0], &buffer, PyBUF_SIMPLE) < 0)
		return NULL;
	if (run_add(&encoding, buffer.buf, (size_t)buffer.len,
		    count == 2 && args[1] == Py_True) == 0)
		made = PyBytes_FromStringAndSize((char *)encoding.bytes,
						 (Py_ssize_t)encoding.len);
	PyBuffer_Release(&buffer);
	free(encoding.bytes);
	return made;
}
