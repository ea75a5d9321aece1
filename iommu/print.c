/* SPDX-License-Identifier: MIT */
/*
 * Formatting: see iommu/print.h. ISO C11 7.21.6.1, the integer and string
 * conversions only.
 *
 * Text goes to the sink in pieces, as it arises; nothing is allocated. A
 * conversion that is not known is printed as it stands, so that a mistake shows.
 */
#include "iommu/print.h"

#include "iommu/string.h"

/** One conversion specification, parsed. */
struct spec {
	bool left, zero, alternate, plus, space;
	size_t width;
	bool has_precision;
	size_t precision;
	char length; /* 0, 'h', 'H' (hh), 'l', 'L' (ll), 'z', 't', 'j' */
	char conversion;
};

/** Widths and precisions beyond this are cut to it: an output length fits an int. */
enum { WIDTH_LIMIT = 4096 };

static void put(struct iommu_print *to, const char *text, size_t bytes)
{
	if (bytes)
		to->write(to, text, bytes);
}

static void pad(struct iommu_print *to, char with, size_t count)
{
	static const char spaces[] = "                                ";
	static const char zeros[] = "00000000000000000000000000000000";
	const char *source = with == '0' ? zeros : spaces;

	while (count) {
		size_t piece = count < sizeof(spaces) - 1 ? count : sizeof(spaces) - 1;
		put(to, source, piece);
		count -= piece;
	}
}

static size_t parse_number(const char **at)
{
	size_t value = 0;

	for (; **at >= '0' && **at <= '9'; ++*at)
		if (value <= WIDTH_LIMIT)
			value = value * 10 + (size_t)(**at - '0');
	return value < WIDTH_LIMIT ? value : WIDTH_LIMIT;
}

/* A struct holds the va_list: passing one on by pointer is not portable, since it
 * may be an array type. */
struct arguments {
	va_list list;
};

static int star(struct arguments *args)
{
	int value = va_arg(args->list, int);

	if (value > WIDTH_LIMIT)
		return WIDTH_LIMIT;
	return value < -WIDTH_LIMIT ? -WIDTH_LIMIT : value;
}

/** Parse what follows a '%'. Returns the place after the conversion letter. */
static const char *parse(const char *at, struct arguments *args, struct spec *spec)
{
	*spec = (struct spec){0};
	for (;; at++) {
		if (*at == '-')
			spec->left = true;
		else if (*at == '0')
			spec->zero = true;
		else if (*at == '#')
			spec->alternate = true;
		else if (*at == '+')
			spec->plus = true;
		else if (*at == ' ')
			spec->space = true;
		else
			break;
	}
	if (*at == '*') {
		int width = star(args);
		spec->left |= width < 0;
		spec->width = (size_t)(width < 0 ? -width : width);
		at++;
	} else {
		spec->width = parse_number(&at);
	}
	if (*at == '.') {
		at++;
		spec->has_precision = true;
		if (*at == '*') {
			int precision = star(args);
			spec->has_precision = precision >= 0;
			spec->precision = precision >= 0 ? (size_t)precision : 0;
			at++;
		} else {
			spec->precision = parse_number(&at);
		}
	}
	switch (*at) {
	case 'h':
	case 'l':
		spec->length = *at;
		if (at[1] == *at) {
			spec->length = *at == 'h' ? 'H' : 'L';
			at++;
		}
		at++;
		break;
	case 'z':
	case 't':
	case 'j':
		spec->length = *at++;
		break;
	default:
		break;
	}
	spec->conversion = *at;
	return *at ? at + 1 : at;
}

static intmax_t take_signed(struct arguments *args, char length)
{
	switch (length) {
	case 'H':
		return (signed char)va_arg(args->list, int);
	case 'h':
		return (short)va_arg(args->list, int);
	case 'l':
		return va_arg(args->list, long);
	case 'L':
		return va_arg(args->list, long long);
	case 'z': /* the signed type of size_t's width */
	case 't':
		return va_arg(args->list, ptrdiff_t);
	case 'j':
		return va_arg(args->list, intmax_t);
	default:
		return va_arg(args->list, int);
	}
}

static uintmax_t take_unsigned(struct arguments *args, char length)
{
	switch (length) {
	case 'H':
		return (unsigned char)va_arg(args->list, unsigned);
	case 'h':
		return (unsigned short)va_arg(args->list, unsigned);
	case 'l':
		return va_arg(args->list, unsigned long);
	case 'L':
		return va_arg(args->list, unsigned long long);
	case 'z':
	case 't':
		return va_arg(args->list, size_t);
	case 'j':
		return va_arg(args->list, uintmax_t);
	default:
		return va_arg(args->list, unsigned);
	}
}

/** Print @p prefix (sign or 0x), then the digits, padded as the flags say. */
static void put_number(struct iommu_print *to, const struct spec *spec, const char *prefix,
                       uintmax_t value, unsigned base, bool capitals)
{
	const char *digits = capitals ? "0123456789ABCDEF" : "0123456789abcdef";
	char text[sizeof(uintmax_t) * 3];
	size_t length = 0, zeros = 0, prefix_length = 0;

	for (uintmax_t rest = value; rest; rest /= base)
		text[sizeof(text) - ++length] = digits[rest % base];
	size_t wanted = spec->has_precision ? spec->precision : 1;
	if (length < wanted)
		zeros = wanted - length;
	if (base == 8 && spec->alternate && !zeros && length)
		zeros = 1;
	else if (base == 8 && spec->alternate && !zeros && !length)
		zeros = 1; /* "%#.0o" of 0 is "0" */
	while (prefix[prefix_length])
		prefix_length++;

	size_t total = prefix_length + zeros + length;
	size_t padding = spec->width > total ? spec->width - total : 0;
	if (spec->zero && !spec->left && !spec->has_precision) {
		zeros += padding;
		padding = 0;
	}
	if (!spec->left)
		pad(to, ' ', padding);
	put(to, prefix, prefix_length);
	pad(to, '0', zeros);
	put(to, text + sizeof(text) - length, length);
	if (spec->left)
		pad(to, ' ', padding);
}

static void put_text(struct iommu_print *to, const struct spec *spec, const char *text,
                     size_t bytes)
{
	size_t padding = spec->width > bytes ? spec->width - bytes : 0;

	if (!spec->left)
		pad(to, ' ', padding);
	put(to, text, bytes);
	if (spec->left)
		pad(to, ' ', padding);
}

/** Print one conversion. False if it is not known. */
static bool convert(struct iommu_print *to, struct spec *spec, struct arguments *args)
{
	switch (spec->conversion) {
	case 'd':
	case 'i': {
		intmax_t value = take_signed(args, spec->length);
		const char *sign = spec->plus ? "+" : spec->space ? " " : "";
		uintmax_t magnitude = (uintmax_t)value;
		if (value < 0) {
			sign = "-";
			magnitude = -magnitude;
		}
		put_number(to, spec, sign, magnitude, 10, false);
		return true;
	}
	case 'u':
		put_number(to, spec, "", take_unsigned(args, spec->length), 10, false);
		return true;
	case 'o':
		put_number(to, spec, "", take_unsigned(args, spec->length), 8, false);
		return true;
	case 'x':
	case 'X': {
		bool capitals = spec->conversion == 'X';
		uintmax_t value = take_unsigned(args, spec->length);
		const char *prefix = spec->alternate && value ? (capitals ? "0X" : "0x") : "";
		put_number(to, spec, prefix, value, 16, capitals);
		return true;
	}
	case 'p':
		put_number(to, spec, "0x", (uintptr_t)va_arg(args->list, void *), 16, false);
		return true;
	case 'c': {
		char character = (char)va_arg(args->list, int);
		put_text(to, spec, &character, 1);
		return true;
	}
	case 's': {
		const char *text = va_arg(args->list, const char *);
		size_t length = 0;
		if (!text)
			text = "(null)";
		while ((!spec->has_precision || length < spec->precision) && text[length])
			length++;
		put_text(to, spec, text, length);
		return true;
	}
	case '%':
		put(to, "%", 1);
		return true;
	default:
		return false;
	}
}

void iommu_vprintf(struct iommu_print *to, const char *format, va_list list)
{
	struct arguments args;
	const char *literal = format;

	va_copy(args.list, list);
	while (*format) {
		if (*format != '%') {
			format++;
			continue;
		}
		put(to, literal, (size_t)(format - literal));
		struct spec spec;
		const char *after = parse(format + 1, &args, &spec);
		if (!convert(to, &spec, &args))
			put(to, format, (size_t)(after - format));
		literal = format = after;
	}
	put(to, literal, (size_t)(format - literal));
	va_end(args.list);
}

void iommu_printf(struct iommu_print *to, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	iommu_vprintf(to, format, args);
	va_end(args);
}

/** A sink that fills a buffer and counts what did not fit. */
struct buffer {
	struct iommu_print print;
	char *out;
	size_t size, length;
};

static void buffer_write(struct iommu_print *self, const char *text, size_t bytes)
{
	struct buffer *buffer = self->ctx;

	if (buffer->length < buffer->size) {
		size_t room = buffer->size - buffer->length;
		memcpy(buffer->out + buffer->length, text, bytes < room ? bytes : room);
	}
	buffer->length += bytes;
}

int iommu_vsnprintf(char *out, size_t size, const char *format, va_list args)
{
	struct buffer buffer = {
		.print = {.write = buffer_write},
		.out = out,
		.size = size ? size - 1 : 0,
	};

	buffer.print.ctx = &buffer;
	iommu_vprintf(&buffer.print, format, args);
	if (size)
		out[buffer.length < buffer.size ? buffer.length : buffer.size] = '\0';
	return (int)buffer.length;
}

int iommu_snprintf(char *out, size_t size, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	int length = iommu_vsnprintf(out, size, format, args);
	va_end(args);
	return length;
}
