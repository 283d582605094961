/* test_blake2b.c - BLAKE2b-256 against digests that Python's hashlib computed. */
#include "tests/unit/unit.h"

#include <string.h>

#include "proto/blake2b.h"

#define INPUT_MAX 10000

static uint8_t input[INPUT_MAX];

static void
check_digest(const uint8_t digest[BLAKE2B_DIGEST], const char *expected)
{
	char hex[2 * BLAKE2B_DIGEST + 1];

	for (size_t i = 0; i < BLAKE2B_DIGEST; i++)
		snprintf(hex + 2 * i, 3, "%02x", digest[i]);
	assert_string_equal(hex, expected);
}

/* Feeds the input in pieces of `step` bytes. */
static void
hash_in_steps(size_t len, size_t step, uint8_t ret_digest[BLAKE2B_DIGEST])
{
	struct blake2b hash;

	blake2b_begin(&hash);
	for (size_t at = 0; at < len; at += step)
		blake2b_add(&hash, input + at, len - at < step ? len - at : step);
	blake2b_end(&hash, ret_digest);
}

/* input[i] = i mod 251; the lengths lie around the block of 128 bytes. */
static const struct {
	size_t len;
	const char *digest;
} vectors[] = {
	{ 0, "0e5751c026e543b2e8ab2eb06099daa1d1e5df47778f7787faab45cdf12fe3a8" },
	{ 1, "03170a2e7597b7b7e3d84c05391d139a62b157e78786d8c082f29dcf4c111314" },
	{ 3, "3d8c3d594928271f44aad7a04b177154806867bcf918e1549c0bc16f9da2b09b" },
	{ 63, "29e41a64fbdd2fd27612228623c0702222bf367451e7324287f181cb3dcf7237" },
	{ 127, "f2fe67ff342e21b8f45e8f2e0bcd1d9243245d50ee6c78042e9c491388791c72" },
	{ 128, "c3582f71ebb2be66fa5dd750f80baae97554f3b015663c8be377cfcb2488c1d1" },
	{ 129, "f7f3c46ba2564ff4c4c162da1f5b605f9f1c4aa6a20652a9f9a337c1a2f5b9c9" },
	{ 255, "d9ef0fc521b4266d16df662bec231bc2ec3989e7adeaf63169c295dc239dbbea" },
	{ 256, "582f782226018ec33076bd8d1c42413530ac7e1126260ffc0f306ba3befc3f24" },
	{ 257, "227e15ed64ee8e93eb7bc53828f76eed974f2c4ab1408c3d08f212b7f8d69904" },
	{ 992, "2cb32a601c8b7b03a72f8718892b21677c5ed4fba893ba1c4aa7e673d4915949" },
	{ 1024, "d75edc54bb5acee4cc8610568e82872ce79758afd38c51dfe6ccfab01c2d191f" },
	{ 10000, "cf9bb8c04de5e1de7a6c56a27d66482d09085a97b6020bcf3b2bbaba3b922898" },
};

static void
digests_are_those_of_hashlib(void **state)
{
	uint8_t digest[BLAKE2B_DIGEST];

	(void)state;
	for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++) {
		hash_in_steps(vectors[i].len, INPUT_MAX, digest);
		check_digest(digest, vectors[i].digest);
	}
}

static void
the_digest_does_not_depend_on_how_the_input_is_cut(void **state)
{
	static const size_t steps[] = { 1, 7, 127, 128, 129, 256, 257 };
	uint8_t digest[BLAKE2B_DIGEST];

	(void)state;
	for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++) {
		for (size_t j = 0; j < sizeof(steps) / sizeof(steps[0]); j++) {
			hash_in_steps(vectors[i].len, steps[j], digest);
			check_digest(digest, vectors[i].digest);
		}
	}
}

static void
abc_has_the_digest_everybody_knows(void **state)
{
	uint8_t digest[BLAKE2B_DIGEST];
	struct blake2b hash;

	(void)state;
	blake2b_begin(&hash);
	blake2b_add(&hash, NULL, 0);
	blake2b_add(&hash, "abc", 3);
	blake2b_end(&hash, digest);
	check_digest(digest,
		     "bddd813c634239723171ef3fee98579b94964e3bb1cb3e427262c8c068d52319");
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(digests_are_those_of_hashlib),
		cmocka_unit_test(the_digest_does_not_depend_on_how_the_input_is_cut),
		cmocka_unit_test(abc_has_the_digest_everybody_knows),
	};

	for (size_t i = 0; i < INPUT_MAX; i++)
		input[i] = (uint8_t)(i % 251);
	return unit_run(tests);
}
