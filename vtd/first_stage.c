/* SPDX-License-Identifier: MIT */
/* Domains in the first-stage format: the page-table engine, compiled for it. */
#define PT_NAME           vtd_fs
#define VTD_FORMAT        vtd_first_stage_format
#define VTD_FORMAT_TRACKS 0
#include "vtd/first_stage.h"
#include "iommu/pt_engine.h"
#include "vtd/domain_format.h"
