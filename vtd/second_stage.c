/* SPDX-License-Identifier: MIT */
/* Domains in the second-stage format: the page-table engine, compiled for it. */
#define PT_NAME           vtd_ss
#define VTD_FORMAT        vtd_second_stage_format
#define VTD_FORMAT_TRACKS 1
#include "vtd/second_stage.h"
#include "iommu/pt_engine.h"
#include "vtd/domain_format.h"
