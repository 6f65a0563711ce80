# Makes the archives beside it with NumPy (2.4.6 made those checked in).
import numpy as np
a = np.arange(-6, 6).reshape(3, 4)
arrays = {"f2": a.astype("<f2")/4, "f4": a.astype("<f4")/4, "f8": a.astype("<f8")/4,
 "f4_big": (a/4).astype(">f4"), "i1": a.astype("i1"), "i2": a.astype("<i2"), "i4": a.astype("<i4"), "i8": a.astype("<i8"), "i8_big": a.astype(">i8"),
 "u1": (a+6).astype("u1"), "u2": (a+6).astype("<u2"), "u4": (a+6).astype("<u4"), "u8": (a+6).astype("<u8"), "b1": a > 0,
 "fortran": np.asfortranarray(a.astype("<f4")), "cube": np.asfortranarray(np.arange(24.).reshape(2,3,4)), "scalar": np.float32(2.5), "empty": np.zeros((0, 3), "f4"), "row": np.arange(3)}
np.savez("kinds.npz", **arrays)
np.savez_compressed("packed.npz", x=np.zeros((200, 30), "f4"), y=np.arange(200))
np.savez("refused.npz", text=np.array(["a", "b"]), objects=np.array([1, "a"], dtype=object), complex=np.zeros(2, "c8"), record=np.zeros(2, [("a", "f4")]), huge=np.array([2**63], "u8"))
print({k: (v.dtype, v.shape) for k, v in np.load("kinds.npz").items()})
