package driver

import "github.com/dnngen/dnngen/cuda/internal/dynamic"

// function numbers the driver's functions that this package calls.
type function int

const (
	fnInit function = iota
	fnDriverGetVersion
	fnGetErrorName
	fnGetErrorString
	fnDeviceGetCount
	fnDeviceGet
	fnDeviceGetName
	fnDeviceGetAttribute
	fnDeviceTotalMem
	fnPrimaryCtxRetain
	fnPrimaryCtxRelease
	fnCtxSetCurrent
	fnCtxSynchronize
	fnMemGetInfo
	fnMemAlloc
	fnMemFree
	fnMemHostAlloc
	fnMemFreeHost
	fnMemcpyHtoD
	fnMemcpyDtoH
	fnMemcpyHtoDAsync
	fnMemcpyDtoHAsync
	fnMemcpyDtoDAsync
	fnMemsetD8
	fnMemsetD8Async
	fnStreamCreate
	fnStreamDestroy
	fnStreamSynchronize
	fnStreamWaitEvent
	fnStreamBeginCapture
	fnStreamEndCapture
	fnEventCreate
	fnEventDestroy
	fnEventRecord
	fnEventSynchronize
	fnEventQuery
	fnEventElapsedTime
	fnModuleLoadDataEx
	fnModuleUnload
	fnModuleGetFunction
	fnModuleGetGlobal
	fnFuncGetAttribute
	fnFuncSetAttribute
	fnOccupancy
	fnLaunchKernel
	fnLaunchCooperativeKernel
	fnGraphInstantiate
	fnGraphLaunch
	fnGraphDestroy
	fnGraphExecDestroy
	required
)

// Functions that newer drivers have, and that this package can do without.
const (
	fnFuncGetParamInfo = required + iota // CUDA 12.4
	functions
)

// symbols are the names under which libcuda.so.1 exports them, with what they take
// (cuda.h). Where a function was revised, the revision is named: the plain name is
// its first form, with 32-bit sizes.
var symbols = [functions]dynamic.Function{
	fnInit:                    "cuInit(unsigned int)",
	fnDriverGetVersion:        "cuDriverGetVersion(int *)",
	fnGetErrorName:            "cuGetErrorName(CUresult, const char **)",
	fnGetErrorString:          "cuGetErrorString(CUresult, const char **)",
	fnDeviceGetCount:          "cuDeviceGetCount(int *)",
	fnDeviceGet:               "cuDeviceGet(CUdevice *, int)",
	fnDeviceGetName:           "cuDeviceGetName(char *, int, CUdevice)",
	fnDeviceGetAttribute:      "cuDeviceGetAttribute(int *, CUdevice_attribute, CUdevice)",
	fnDeviceTotalMem:          "cuDeviceTotalMem_v2(size_t *, CUdevice)",
	fnPrimaryCtxRetain:        "cuDevicePrimaryCtxRetain(CUcontext *, CUdevice)",
	fnPrimaryCtxRelease:       "cuDevicePrimaryCtxRelease_v2(CUdevice)",
	fnCtxSetCurrent:           "cuCtxSetCurrent(CUcontext)",
	fnCtxSynchronize:          "cuCtxSynchronize(void)",
	fnMemGetInfo:              "cuMemGetInfo_v2(size_t *, size_t *)",
	fnMemAlloc:                "cuMemAlloc_v2(CUdeviceptr *, size_t)",
	fnMemFree:                 "cuMemFree_v2(CUdeviceptr)",
	fnMemHostAlloc:            "cuMemHostAlloc(void **, size_t, unsigned int)",
	fnMemFreeHost:             "cuMemFreeHost(void *)",
	fnMemcpyHtoD:              "cuMemcpyHtoD_v2(CUdeviceptr, const void *, size_t)",
	fnMemcpyDtoH:              "cuMemcpyDtoH_v2(void *, CUdeviceptr, size_t)",
	fnMemcpyHtoDAsync:         "cuMemcpyHtoDAsync_v2(CUdeviceptr, const void *, size_t, CUstream)",
	fnMemcpyDtoHAsync:         "cuMemcpyDtoHAsync_v2(void *, CUdeviceptr, size_t, CUstream)",
	fnMemcpyDtoDAsync:         "cuMemcpyDtoDAsync_v2(CUdeviceptr, CUdeviceptr, size_t, CUstream)",
	fnMemsetD8:                "cuMemsetD8_v2(CUdeviceptr, unsigned char, size_t)",
	fnMemsetD8Async:           "cuMemsetD8Async(CUdeviceptr, unsigned char, size_t, CUstream)",
	fnStreamCreate:            "cuStreamCreate(CUstream *, unsigned int)",
	fnStreamDestroy:           "cuStreamDestroy_v2(CUstream)",
	fnStreamSynchronize:       "cuStreamSynchronize(CUstream)",
	fnStreamWaitEvent:         "cuStreamWaitEvent(CUstream, CUevent, unsigned int)",
	fnStreamBeginCapture:      "cuStreamBeginCapture_v2(CUstream, CUstreamCaptureMode)",
	fnStreamEndCapture:        "cuStreamEndCapture(CUstream, CUgraph *)",
	fnEventCreate:             "cuEventCreate(CUevent *, unsigned int)",
	fnEventDestroy:            "cuEventDestroy_v2(CUevent)",
	fnEventRecord:             "cuEventRecord(CUevent, CUstream)",
	fnEventSynchronize:        "cuEventSynchronize(CUevent)",
	fnEventQuery:              "cuEventQuery(CUevent)",
	fnEventElapsedTime:        "cuEventElapsedTime(float *, CUevent, CUevent)",
	fnModuleLoadDataEx:        "cuModuleLoadDataEx(CUmodule *, const void *, unsigned int, CUjit_option *, void **)",
	fnModuleUnload:            "cuModuleUnload(CUmodule)",
	fnModuleGetFunction:       "cuModuleGetFunction(CUfunction *, CUmodule, const char *)",
	fnModuleGetGlobal:         "cuModuleGetGlobal_v2(CUdeviceptr *, size_t *, CUmodule, const char *)",
	fnFuncGetAttribute:        "cuFuncGetAttribute(int *, CUfunction_attribute, CUfunction)",
	fnFuncSetAttribute:        "cuFuncSetAttribute(CUfunction, CUfunction_attribute, int)",
	fnOccupancy:               "cuOccupancyMaxActiveBlocksPerMultiprocessor(int *, CUfunction, int, size_t)",
	fnLaunchKernel:            "cuLaunchKernel(CUfunction, unsigned int, unsigned int, unsigned int, unsigned int, unsigned int, unsigned int, unsigned int, CUstream, void **, void **)",
	fnLaunchCooperativeKernel: "cuLaunchCooperativeKernel(CUfunction, unsigned int, unsigned int, unsigned int, unsigned int, unsigned int, unsigned int, unsigned int, CUstream, void **)",
	fnGraphInstantiate:        "cuGraphInstantiateWithFlags(CUgraphExec *, CUgraph, unsigned long long)",
	fnGraphLaunch:             "cuGraphLaunch(CUgraphExec, CUstream)",
	fnGraphDestroy:            "cuGraphDestroy(CUgraph)",
	fnGraphExecDestroy:        "cuGraphExecDestroy(CUgraphExec)",
	fnFuncGetParamInfo:        "cuFuncGetParamInfo(CUfunction, size_t, size_t *, size_t *)",
}

// needs is the oldest driver that has all required ones (cuGraphInstantiateWithFlags
// came last), as cuDriverGetVersion tells it: 1000·major + 10·minor.
const needs = 11040
