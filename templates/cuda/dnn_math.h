// dnn_math.h: the elementary functions, to within three units in the last
// place, with neither a library nor the fast approximations of the hardware.
// Coefficients are minimax fits over the intervals named.
#ifndef DNN_MATH_H
#define DNN_MATH_H

// Adding it to a number below 2^22 in magnitude rounds that to an integer.
#define DNN_SHIFTER 12582912.0f
// ln 2 in two parts, of which the first has 16 bits.
#define DNN_LN2_HI 0.693145752f
#define DNN_LN2_LO 1.4286068e-06f
#define DNN_INV_LN2 1.44269504f

DNN_DEVICE float dnn_clamp(float x, float low, float high) {
    return x < low ? low : x > high ? high : x; // NaN stays
}

// dnn_power is 2^n of a whole number in [-126, 127].
DNN_DEVICE float dnn_power(float n) { return dnn_float((unsigned)((int)n + 127) << 23); }

// dnn_exp is e^x: 0 and infinity at the ends, denormal numbers between.
DNN_DEVICE float dnn_exp(float x) {
    if (x != x) return x;
    x = dnn_clamp(x, -104.0f, 89.0f);
    const float n = dnn_fma(x, DNN_INV_LN2, DNN_SHIFTER) - DNN_SHIFTER;
    float r = dnn_fma(n, -DNN_LN2_HI, x);
    r = dnn_fma(n, -DNN_LN2_LO, r);
    // e^r = 1 + r + r^2*q(r) on [-0.3466, 0.3466], within 2^-28
    float q = 0.00138182915f;
    q = dnn_fma(q, r, 0.0083685331f);
    q = dnn_fma(q, r, 0.0416682921f);
    q = dnn_fma(q, r, 0.166665226f);
    q = dnn_fma(q, r, 0.49999994f);
    const float p = dnn_fma(r, dnn_fma(r, q, 1.0f), 1.0f);
    // Two factors, for 2^n alone may be too small or too large a number.
    const float half = dnn_fma(n, 0.5f, DNN_SHIFTER) - DNN_SHIFTER;
    return p * dnn_power(half) * dnn_power(n - half);
}

// dnn_expm1 is e^x - 1, without loss of digits near zero.
DNN_DEVICE float dnn_expm1(float x) {
    if (x != x || dnn_abs(x) < 8.8817842e-16f) return x;
    const float c = dnn_clamp(x, -30.0f, 89.0f);
    const float n = dnn_fma(c, DNN_INV_LN2, DNN_SHIFTER) - DNN_SHIFTER;
    float r = dnn_fma(n, -DNN_LN2_HI, c);
    r = dnn_fma(n, -DNN_LN2_LO, r);
    // e^r - 1 = r + r^2*q(r) on [-0.3466, 0.3466], within 2^-26
    float q = 0.00138978579f;
    q = dnn_fma(q, r, 0.0083659701f);
    q = dnn_fma(q, r, 0.0416668579f);
    q = dnn_fma(q, r, 0.166665494f);
    q = dnn_fma(q, r, 0.5f);
    const float p = dnn_fma(r * r, q, r);
    // 2^n*p + (2^n - 1), halved and doubled, for 2^n may be too large a number.
    const float half = dnn_power(n - 1.0f);
    const float y = dnn_fma(half, p, half - 0.5f);
    return y + y;
}

// dnn_log is the natural logarithm: -infinity at 0, NaN below.
DNN_DEVICE float dnn_log(float x) {
    if (!(x > 0.0f)) return x == 0.0f ? dnn_float(0xff800000u) : dnn_float(0x7fc00000u);
    if (x == dnn_float(0x7f800000u)) return x;
    float n = 0.0f;
    if (x < 1.17549435e-38f) {
        x *= 33554432.0f;
        n = -25.0f;
    }
    // x = 2^n*m, m in [0.75, 1.5)
    const unsigned bits = dnn_bits(x) - 0x3f400000u;
    n += (float)((int)bits >> 23);
    const float f = dnn_float((bits & 0x7fffffu) + 0x3f400000u) - 1.0f;
    // log(1+f) = f + f^2*q(f) on [-0.25, 0.5], within 2^-27
    float q = -0.0451522693f;
    q = dnn_fma(q, f, 0.10472551f);
    q = dnn_fma(q, f, -0.131639361f);
    q = dnn_fma(q, f, 0.1447763f);
    q = dnn_fma(q, f, -0.166468784f);
    q = dnn_fma(q, f, 0.19990848f);
    q = dnn_fma(q, f, -0.250001103f);
    q = dnn_fma(q, f, 0.333334506f);
    q = dnn_fma(q, f, -0.5f);
    const float y = dnn_fma(f * f, q, n * DNN_LN2_LO) + f;
    return dnn_fma(n, DNN_LN2_HI, y);
}

// dnn_softplus is log(1 + e^x), as max(x, 0) + log(1 + e^-|x|).
DNN_DEVICE float dnn_softplus(float x) {
    const float e = dnn_exp(-dnn_abs(x));
    // log(1+e) = e + e^2*q(e) on [0, 1], within 2^-27
    float q = -0.00329100713f;
    q = dnn_fma(q, e, 0.0200882591f);
    q = dnn_fma(q, e, -0.0574602671f);
    q = dnn_fma(q, e, 0.106613614f);
    q = dnn_fma(q, e, -0.153449759f);
    q = dnn_fma(q, e, 0.196921214f);
    q = dnn_fma(q, e, -0.249580204f);
    q = dnn_fma(q, e, 0.333304644f);
    q = dnn_fma(q, e, -0.499999315f);
    return (x > 0.0f ? x : 0.0f) + dnn_fma(e * e, q, e);
}

// dnn_sigmoid is 1/(1 + e^-x).
DNN_DEVICE float dnn_sigmoid(float x) {
    const float e = dnn_exp(-dnn_abs(x));
    const float w = e / (e + 1.0f);
    const float top = x < 0.0f ? e : 1.0f;
    return dnn_fma(-top, w, top);
}

// dnn_tanh is the hyperbolic tangent: an odd polynomial near zero, and beyond
// 1 - 2t/(1 + t) with t = e^(-2|x|).
DNN_DEVICE float dnn_tanh(float x) {
    if (x != x) return x;
    const float b = dnn_abs(x), u = x * x;
    float y;
    if (b >= 0.6f) {
        const float t = dnn_exp(-2.0f * b);
        y = dnn_fma(-2.0f, t / (t + 1.0f), 1.0f);
    } else {
        // tanh(x) = x + x*u*q(u) on [0, 0.36], within 2^-28
        float q = -0.00589796668f;
        q = dnn_fma(q, u, 0.0207986254f);
        q = dnn_fma(q, u, -0.0537847169f);
        q = dnn_fma(q, u, 0.133319363f);
        q = dnn_fma(q, u, -0.333332986f);
        y = dnn_fma(b * u, q, b);
    }
    return dnn_float(dnn_bits(y) | (dnn_bits(x) & 0x80000000u));
}

// dnn_erf is the error function: an odd polynomial near zero, and beyond
// 1 - e^g, g being a polynomial for the logarithm of 1 - erf|x|.
DNN_DEVICE float dnn_erf(float x) {
    if (x != x) return x;
    float b = dnn_abs(x);
    const float u = x * x;
    float y;
    if (b >= 0.8f) {
        b = b > 4.0f ? 4.0f : b;
        // on [0.8, 4], within 2^-28
        float g = 0.000208689904f;
        g = dnn_fma(g, b, -0.00316483132f);
        g = dnn_fma(g, b, 0.0226972364f);
        g = dnn_fma(g, b, -0.104876235f);
        g = dnn_fma(g, b, -0.636142194f);
        g = dnn_fma(g, b, -1.12827134f);
        g = dnn_fma(g, b, -5.68471623e-05f);
        y = 1.0f - dnn_exp(g);
    } else {
        // erf(x) = x + x*q(u) on [0, 0.64], within 2^-28
        float q = -0.000654224947f;
        q = dnn_fma(q, u, 0.00508686574f);
        q = dnn_fma(q, u, -0.0268222429f);
        q = dnn_fma(q, u, 0.112831622f);
        q = dnn_fma(q, u, -0.376126081f);
        q = dnn_fma(q, u, 0.128379166f);
        y = dnn_fma(b, q, b);
    }
    return dnn_float(dnn_bits(y) | (dnn_bits(x) & 0x80000000u));
}

#endif
