/*
 * Pseudo-random numbers, back-off, statistics.
 */
#include <math.h>

#include <gurt/common.h>

/* One sequence per process, as the interface has it; erand48-style state under a lock. */
static pthread_mutex_t rand_lock = PTHREAD_MUTEX_INITIALIZER;
static unsigned short rand_state[3] = {0x330e, 0xabcd, 0x1234};

void
d_srand(long int seed)
{
	pthread_mutex_lock(&rand_lock);
	rand_state[0] = 0x330e;
	rand_state[1] = (unsigned short)seed;
	rand_state[2] = (unsigned short)((unsigned long)seed >> 16);
	pthread_mutex_unlock(&rand_lock);
}

long int
d_rand(void)
{
	long int num;

	pthread_mutex_lock(&rand_lock);
	num = nrand48(rand_state);
	pthread_mutex_unlock(&rand_lock);
	return num;
}

double
d_randd(void)
{
	double num;

	pthread_mutex_lock(&rand_lock);
	num = erand48(rand_state);
	pthread_mutex_unlock(&rand_lock);
	return num;
}

int
d_backoff_seq_init(struct d_backoff_seq *seq, uint8_t nzeros, uint16_t factor, uint32_t next,
		   uint32_t max)
{
	if (seq == NULL || factor == 0 || next == 0 || next > max)
		return -DER_INVAL;
	seq->bos_flags = 0;
	seq->bos_nzeros = nzeros;
	seq->bos_factor = factor;
	seq->bos_next = next;
	seq->bos_max = max;
	return 0;
}

void
d_backoff_seq_fini(struct d_backoff_seq *seq)
{
	memset(seq, 0, sizeof(*seq));
}

uint32_t
d_backoff_seq_next(struct d_backoff_seq *seq)
{
	uint64_t bound;

	if (seq->bos_nzeros > 0) {
		seq->bos_nzeros--;
		return 0;
	}
	bound = seq->bos_next;
	seq->bos_next = (uint32_t)MIN(bound * seq->bos_factor, (uint64_t)seq->bos_max);
	return (uint32_t)(bound * d_randd());
}

double
d_stand_div(double *array, int nr)
{
	double sum = 0;
	double squares = 0;
	double mean;
	int i;

	if (nr <= 0)
		return 0;
	for (i = 0; i < nr; i++)
		sum += array[i];
	mean = sum / nr;
	/* Second pass: the one-pass formula loses all digits when the mean is large. */
	for (i = 0; i < nr; i++)
		squares += (array[i] - mean) * (array[i] - mean);
	return sqrt(squares / nr);
}
