/* Leases and waits that end by the clock. Client 0 may hang past its lease; 1 waits for a while; 2 only waits, for a while. */
#define FIRST(i) 0
#define INNER(i) 0
#define REMOVED 0
#define ASKS(i) ((i) == 0 -> 2 : 1)
#define TIMED(i) ((i) != 2)
#define DEADLINE(i) ((i) != 0)
#define ONLY_WAITS(i) ((i) == 2)
#define FAULTS 1
#define FAILURES 1
#define DELETES 1
#define PUTS 1
#include "lease.pml"
