package cublaslt

// function numbers the library's functions that this package calls.
type function int

const (
	fnGetVersion function = iota
	fnCreate
	fnDestroy
	fnDescCreate
	fnDescSet
	fnDescDestroy
	fnLayoutCreate
	fnLayoutDestroy
	fnPreferenceCreate
	fnPreferenceSet
	fnPreferenceDestroy
	fnHeuristic
	fnMatmul
	functions
)

// symbols are the names under which the library exports them.
var symbols = [functions]string{
	fnGetVersion:        "cublasLtGetVersion",
	fnCreate:            "cublasLtCreate",
	fnDestroy:           "cublasLtDestroy",
	fnDescCreate:        "cublasLtMatmulDescCreate",
	fnDescSet:           "cublasLtMatmulDescSetAttribute",
	fnDescDestroy:       "cublasLtMatmulDescDestroy",
	fnLayoutCreate:      "cublasLtMatrixLayoutCreate",
	fnLayoutDestroy:     "cublasLtMatrixLayoutDestroy",
	fnPreferenceCreate:  "cublasLtMatmulPreferenceCreate",
	fnPreferenceSet:     "cublasLtMatmulPreferenceSetAttribute",
	fnPreferenceDestroy: "cublasLtMatmulPreferenceDestroy",
	fnHeuristic:         "cublasLtMatmulAlgoGetHeuristic",
	fnMatmul:            "cublasLtMatmul",
}

// names are those under which the library is installed, the newest first. The
// version in them is that of the CUDA that it needs.
var names = []string{"libcublasLt.so.13", "libcublasLt.so.12", "libcublasLt.so.11"}

// Numbers of library_types.h, enum cudaDataType_t.
const (
	dataFloat32  = 0
	dataFloat16  = 2
	dataBFloat16 = 14
)

// Numbers of cublas_api.h, enums cublasComputeType_t and cublasOperation_t.
const (
	computeFloat32 = 68
	computeTF32    = 77
	operationT     = 1
)

// Numbers of cublasLt.h, enum cublasLtMatmulDescAttributes_t. Values are int32.
const (
	descTransA = 3
	descTransB = 4
)

// Numbers of cublasLt.h, enum cublasLtMatmulPreferenceAttributes_t. The
// workspace is a uint64, the others are uint32.
const (
	preferWorkspace  = 1
	preferReductions = 3
	preferAlignmentA = 5
	preferAlignmentB = 6
	preferAlignmentC = 7
	preferAlignmentD = 8
)

// reductionByCompute of enum cublasLtReductionScheme_t: where the inner dimension
// is shared out, the parts lie in the workspace and are added up afterwards, in
// an order of their own. Without that bit set the inner dimension is not shared.
// Reduction in place is left out: its order may be that of arrival.
const reductionByCompute = 2

// algorithm is cublasLtMatmulAlgo_t, and result cublasLtMatmulHeuristicResult_t.
type algorithm [8]uint64

type result struct {
	algorithm algorithm
	workspace uint64
	status    int32
	waves     float32
	reserved  [4]int32
}

// statuses are the names of enum cublasStatus_t of cublas_api.h.
var statuses = map[int]string{
	1:  "CUBLAS_STATUS_NOT_INITIALIZED",
	3:  "CUBLAS_STATUS_ALLOC_FAILED",
	7:  "CUBLAS_STATUS_INVALID_VALUE",
	8:  "CUBLAS_STATUS_ARCH_MISMATCH",
	11: "CUBLAS_STATUS_MAPPING_ERROR",
	13: "CUBLAS_STATUS_EXECUTION_FAILED",
	14: "CUBLAS_STATUS_INTERNAL_ERROR",
	15: "CUBLAS_STATUS_NOT_SUPPORTED",
	16: "CUBLAS_STATUS_LICENSE_ERROR",
}
