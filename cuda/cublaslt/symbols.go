package cublaslt

import "github.com/dnngen/dnngen/cuda/internal/dynamic"

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

// symbols are the names under which the library exports them, with what they take
// (cublasLt.h).
var symbols = [functions]dynamic.Function{
	fnGetVersion:        "cublasLtGetVersion(void)",
	fnCreate:            "cublasLtCreate(cublasLtHandle_t *)",
	fnDestroy:           "cublasLtDestroy(cublasLtHandle_t)",
	fnDescCreate:        "cublasLtMatmulDescCreate(cublasLtMatmulDesc_t *, cublasComputeType_t, cudaDataType_t)",
	fnDescSet:           "cublasLtMatmulDescSetAttribute(cublasLtMatmulDesc_t, cublasLtMatmulDescAttributes_t, const void *, size_t)",
	fnDescDestroy:       "cublasLtMatmulDescDestroy(cublasLtMatmulDesc_t)",
	fnLayoutCreate:      "cublasLtMatrixLayoutCreate(cublasLtMatrixLayout_t *, cudaDataType, uint64_t, uint64_t, int64_t)",
	fnLayoutDestroy:     "cublasLtMatrixLayoutDestroy(cublasLtMatrixLayout_t)",
	fnPreferenceCreate:  "cublasLtMatmulPreferenceCreate(cublasLtMatmulPreference_t *)",
	fnPreferenceSet:     "cublasLtMatmulPreferenceSetAttribute(cublasLtMatmulPreference_t, cublasLtMatmulPreferenceAttributes_t, const void *, size_t)",
	fnPreferenceDestroy: "cublasLtMatmulPreferenceDestroy(cublasLtMatmulPreference_t)",
	fnHeuristic:         "cublasLtMatmulAlgoGetHeuristic(cublasLtHandle_t, cublasLtMatmulDesc_t, cublasLtMatrixLayout_t, cublasLtMatrixLayout_t, cublasLtMatrixLayout_t, cublasLtMatrixLayout_t, cublasLtMatmulPreference_t, int, cublasLtMatmulHeuristicResult_t *, int *)",
	fnMatmul:            "cublasLtMatmul(cublasLtHandle_t, cublasLtMatmulDesc_t, const void *, const void *, cublasLtMatrixLayout_t, const void *, cublasLtMatrixLayout_t, const void *, const void *, cublasLtMatrixLayout_t, void *, cublasLtMatrixLayout_t, const cublasLtMatmulAlgo_t *, void *, size_t, cudaStream_t)",
}

// names are those under which the library is installed, the newest first. The
// version in them is that of the CUDA that it needs.
var names = []string{"libcublasLt.so.13", "libcublasLt.so.12", "libcublasLt.so.11"}

// Numbers of library_types.h, enum cudaDataType_t.
const (
	dataFloat32  = 0  // CUDA_R_32F
	dataFloat16  = 2  // CUDA_R_16F
	dataBFloat16 = 14 // CUDA_R_16BF
)

// Numbers of cublas_api.h, enums cublasComputeType_t and cublasOperation_t.
const (
	computeFloat32 = 68 // CUBLAS_COMPUTE_32F
	computeTF32    = 77 // CUBLAS_COMPUTE_32F_FAST_TF32
	operationT     = 1  // CUBLAS_OP_T
)

// Numbers of cublasLt.h, enum cublasLtMatmulDescAttributes_t. Values are int32.
const (
	descTransA = 3 // CUBLASLT_MATMUL_DESC_TRANSA
	descTransB = 4 // CUBLASLT_MATMUL_DESC_TRANSB
)

// Numbers of cublasLt.h, enum cublasLtMatmulPreferenceAttributes_t. The
// workspace is a uint64, the others are uint32.
const (
	preferWorkspace  = 1 // CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES
	preferReductions = 3 // CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK
	preferAlignmentA = 5 // CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES
	preferAlignmentB = 6 // CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES
	preferAlignmentC = 7 // CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES
	preferAlignmentD = 8 // CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES
)

// reductionByCompute of enum cublasLtReductionScheme_t: where the inner dimension
// is shared out, the parts lie in the workspace and are added up afterwards, in
// an order of their own. Without that bit set the inner dimension is not shared.
// Reduction in place is left out: its order may be that of arrival.
const reductionByCompute = 2 // CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE

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
