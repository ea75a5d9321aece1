/* SPDX-License-Identifier: MIT */
/*
 * Conditions: what the machine at hand can do, for `need` and `if`.
 *
 * They are read from the hardware's own registers (as GET_HW_INFO gives them), not
 * from what the driver grants, so that a promise behind `if` is a real one. They
 * speak of the device that was opened last, or of the first engine's.
 */
#include "iommu/field.h"
#include "kernel/scn_state.h"
#include "ufd/iommufd.h"

/* Of VT-d's extended capabilities, section 11.4.3. */
#define ECAP_NEST BIT64(26)
#define ECAP_SMTS BIT64(43)
#define ECAP_SSTS BIT64(46)
#define ECAP_FSTS BIT64(47)

struct traits {
	bool has_unit, mock, model, scalable, first_stage, second_stage, nests;
};

static struct iommu_device *device_of(struct scn *scn)
{
	for (struct scn_object *object = scn->objects; object; object = object->next)
		if (object->kind == SCN_DEVICE)
			return object->device; /* the youngest is first */
	struct dma_engine *engine = scn_engine_next(scn->platform, NULL, false);
	return engine ? engine->pci->iommu : NULL;
}

static bool is_scalable(const struct iommu_unit *unit, uint64_t ecap)
{
	if (unit->mode != IOMMU_MODE_AUTO)
		return unit->mode == IOMMU_MODE_SCALABLE;
	if (unit->iommu->options.mode != IOMMU_MODE_AUTO)
		return unit->iommu->options.mode == IOMMU_MODE_SCALABLE;
	return ecap & ECAP_SMTS && ecap & (ECAP_SSTS | ECAP_FSTS);
}

static struct traits traits_of(const struct scn *scn, struct iommu_device *device)
{
	struct traits traits = {0};
	struct iommu_hw_info_vtd info = {0};
	uint32_t type = 0;

	if (!device || !device->unit)
		return traits;
	struct iommu_unit *unit = device->unit;
	traits.has_unit = true;
	traits.mock = unit->segment == UFD_MOCK_SEGMENT;
	traits.model = scn->platform->model && unit->segment == scn->platform->model->segment;
	if (traits.mock) {
		traits.first_stage = traits.second_stage = traits.nests = true;
		return traits;
	}
	if (!unit->ops->hw_info || unit->ops->hw_info(device, &type, &info, sizeof(info)) < 0 ||
	    type != IOMMU_HW_INFO_TYPE_INTEL_VTD)
		return traits;
	traits.scalable = is_scalable(unit, info.ecap_reg);
	traits.first_stage = traits.scalable && info.ecap_reg & ECAP_FSTS;
	traits.second_stage = !traits.scalable || info.ecap_reg & ECAP_SSTS;
	traits.nests = traits.scalable && info.ecap_reg & ECAP_NEST;
	return traits;
}

static bool page_size_works(struct iommu_device *device, uint64_t bytes)
{
	struct iommu_domain *domain;
	bool works = false;

	if (device && iommu_domain_alloc_user(device, 0, NULL, NULL, &domain) == 0) {
		works = domain->page_sizes & bytes;
		(void)!iommu_domain_free(domain);
	}
	return works;
}

static bool reaches(struct iommu_device *device, uint64_t address)
{
	struct iommu_domain *domain;
	bool holds = false;

	if (device && iommu_domain_alloc_user(device, 0, NULL, NULL, &domain) == 0) {
		holds = domain->last.value >= address;
		(void)!iommu_domain_free(domain);
	}
	return holds;
}

static bool tracks_dirty(struct iommu_device *device)
{
	const struct iommu_unit_ops *ops = device && device->unit ? device->unit->ops : NULL;

	return ops && ops->can_track_dirty && ops->can_track_dirty(device);
}

static bool identity_works(struct iommu_device *device)
{
	struct iommu_domain *domain;

	return device && iommu_domain_alloc_identity(device, &domain) == 0 &&
	       iommu_domain_free(domain) == 0;
}

static bool memory_can_be_had(struct scn *scn, uint64_t bytes)
{
	struct user_memory *memory = scn->platform->memory;
	struct user_buffer *probe;

	if (bytes > PAGE_SIZE_4K << memory->backing->max_order ||
	    user_buffer_create(memory, ".probe", bytes, 0, 0, &probe) != 0)
		return false;
	return user_buffer_destroy(memory, probe) == 0;
}

/* Is what the engine can do of use here? PASIDs, ATS and page requests need the
 * unit as well. */
static bool abilities_count(const struct dma_engine *engine, uint64_t abilities)
{
	const struct iommu_device *device = engine->pci->iommu;

	return (engine->ops->abilities & abilities) == abilities &&
	       (!(abilities & DMA_CAN_PASID) || device->pasid_bits) &&
	       (!(abilities & DMA_CAN_ATS) || device->ats) &&
	       (!(abilities & DMA_CAN_PRI) || device->page_requests);
}

static bool engines_are_there(struct scn *scn, uint64_t abilities, unsigned wanted)
{
	struct dma_engine *engine = NULL;

	while (wanted && (engine = scn_engine_next(scn->platform, engine, false)))
		if (abilities_count(engine, abilities))
			wanted--;
	return !wanted;
}

static const char *ability_name(uint64_t ability)
{
	return ability == DMA_CAN_COPY    ? "copies"
	       : ability == DMA_CAN_FETCH ? "reads memory"
	       : ability == DMA_CAN_STORE ? "writes memory"
	       : ability == DMA_CAN_PASID ? "can use PASIDs"
	       : ability == DMA_CAN_ATS   ? "translates by ATS"
	       : ability == DMA_CAN_PRI   ? "can ask for pages"
	                                  : "is fast";
}

bool scn_condition_holds(struct scn *scn, const struct scn_condition *condition, char *why,
                         size_t why_bytes)
{
	struct iommu_device *device = device_of(scn);
	struct traits traits = traits_of(scn, device);
	char size[24], what[64] = "";
	bool holds = false;

#define WHAT(...) iommu_snprintf(what, sizeof(what), __VA_ARGS__)
	switch (condition->what) {
	case SCN_IF_LEGACY:
		holds = traits.has_unit && !traits.mock && !traits.scalable;
		WHAT("a unit in legacy mode");
		break;
	case SCN_IF_SCALABLE:
		holds = traits.scalable;
		WHAT("a unit in scalable mode");
		break;
	case SCN_IF_FIRST_STAGE:
		holds = traits.first_stage;
		WHAT("a unit with first-stage tables");
		break;
	case SCN_IF_SECOND_STAGE:
		holds = traits.second_stage;
		WHAT("a unit with second-stage tables");
		break;
	case SCN_IF_NESTS:
		holds = traits.nests;
		WHAT("a unit that can nest");
		break;
	case SCN_IF_DIRTY_TRACKING:
		holds = tracks_dirty(device);
		WHAT("a unit that tracks dirty pages");
		break;
	case SCN_IF_MOCK:
		holds = traits.mock;
		WHAT("the mock unit");
		break;
	case SCN_IF_MODEL:
		holds = traits.model;
		WHAT("a model of a unit");
		break;
	case SCN_IF_HARDWARE:
		holds = traits.has_unit && !traits.mock && !traits.model;
		WHAT("a hardware unit");
		break;
	case SCN_IF_ENGINE:
		holds = engines_are_there(scn, condition->number, 1);
		WHAT("a DMA engine behind an IOMMU that %s", ability_name(condition->number));
		break;
	case SCN_IF_ENGINES:
		holds = engines_are_there(scn, condition->number, 2);
		WHAT("a second DMA engine behind an IOMMU that %s",
		     ability_name(condition->number));
		break;
	case SCN_IF_PAGE:
		holds = page_size_works(device, condition->number);
		WHAT("pages of %s", scn_size_text(condition->number, size));
		break;
	case SCN_IF_MEMORY:
		holds = memory_can_be_had(scn, condition->number);
		WHAT("%s of contiguous memory", scn_size_text(condition->number, size));
		break;
	case SCN_IF_PASSTHROUGH:
		holds = identity_works(device);
		WHAT("pass-through");
		break;
	case SCN_IF_REACH:
		holds = reaches(device, condition->number);
		WHAT("a unit that reaches address %#llx", (unsigned long long)condition->number);
		break;
	case SCN_IF_HAVE:
		holds = scn_object_find(scn, condition->name);
		WHAT("%s", condition->name);
		break;
	}
#undef WHAT
	if (holds == condition->negated)
		iommu_snprintf(why, why_bytes, "%s %s here", what,
		               condition->negated ? "is" : "is not");
	return holds != condition->negated;
}
