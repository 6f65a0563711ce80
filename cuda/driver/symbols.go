package driver

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

// symbols are the names under which libcuda.so.1 exports them. Where a
// function was revised, the revision is named: the plain name is its first
// form, with 32-bit sizes.
var symbols = [functions]string{
	fnInit:                    "cuInit",
	fnDriverGetVersion:        "cuDriverGetVersion",
	fnGetErrorName:            "cuGetErrorName",
	fnGetErrorString:          "cuGetErrorString",
	fnDeviceGetCount:          "cuDeviceGetCount",
	fnDeviceGet:               "cuDeviceGet",
	fnDeviceGetName:           "cuDeviceGetName",
	fnDeviceGetAttribute:      "cuDeviceGetAttribute",
	fnDeviceTotalMem:          "cuDeviceTotalMem_v2",
	fnPrimaryCtxRetain:        "cuDevicePrimaryCtxRetain",
	fnPrimaryCtxRelease:       "cuDevicePrimaryCtxRelease_v2",
	fnCtxSetCurrent:           "cuCtxSetCurrent",
	fnCtxSynchronize:          "cuCtxSynchronize",
	fnMemGetInfo:              "cuMemGetInfo_v2",
	fnMemAlloc:                "cuMemAlloc_v2",
	fnMemFree:                 "cuMemFree_v2",
	fnMemHostAlloc:            "cuMemHostAlloc",
	fnMemFreeHost:             "cuMemFreeHost",
	fnMemcpyHtoD:              "cuMemcpyHtoD_v2",
	fnMemcpyDtoH:              "cuMemcpyDtoH_v2",
	fnMemcpyHtoDAsync:         "cuMemcpyHtoDAsync_v2",
	fnMemcpyDtoHAsync:         "cuMemcpyDtoHAsync_v2",
	fnMemcpyDtoDAsync:         "cuMemcpyDtoDAsync_v2",
	fnMemsetD8:                "cuMemsetD8_v2",
	fnMemsetD8Async:           "cuMemsetD8Async",
	fnStreamCreate:            "cuStreamCreate",
	fnStreamDestroy:           "cuStreamDestroy_v2",
	fnStreamSynchronize:       "cuStreamSynchronize",
	fnStreamWaitEvent:         "cuStreamWaitEvent",
	fnStreamBeginCapture:      "cuStreamBeginCapture_v2",
	fnStreamEndCapture:        "cuStreamEndCapture",
	fnEventCreate:             "cuEventCreate",
	fnEventDestroy:            "cuEventDestroy_v2",
	fnEventRecord:             "cuEventRecord",
	fnEventSynchronize:        "cuEventSynchronize",
	fnEventQuery:              "cuEventQuery",
	fnEventElapsedTime:        "cuEventElapsedTime",
	fnModuleLoadDataEx:        "cuModuleLoadDataEx",
	fnModuleUnload:            "cuModuleUnload",
	fnModuleGetFunction:       "cuModuleGetFunction",
	fnModuleGetGlobal:         "cuModuleGetGlobal_v2",
	fnFuncGetAttribute:        "cuFuncGetAttribute",
	fnFuncSetAttribute:        "cuFuncSetAttribute",
	fnOccupancy:               "cuOccupancyMaxActiveBlocksPerMultiprocessor",
	fnLaunchKernel:            "cuLaunchKernel",
	fnLaunchCooperativeKernel: "cuLaunchCooperativeKernel",
	fnGraphInstantiate:        "cuGraphInstantiateWithFlags",
	fnGraphLaunch:             "cuGraphLaunch",
	fnGraphDestroy:            "cuGraphDestroy",
	fnGraphExecDestroy:        "cuGraphExecDestroy",
	fnFuncGetParamInfo:        "cuFuncGetParamInfo",
}

// needs is the oldest driver that has all required ones (cuGraphInstantiateWithFlags
// came last), as cuDriverGetVersion tells it: 1000·major + 10·minor.
const needs = 11040
