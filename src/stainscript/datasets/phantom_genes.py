"""The genes of the phantom: real symbols in programmes, each of a kind that says where its activity can be seen.

patch    the cells inside the spot's own patch drive it: any image method can learn it
region   what surrounds the patch drives it, once all that the patch itself tells is taken away: context is needed
nowhere  a random field of each slide drives it, unrelated to the image and to the coordinates: whoever predicts it
         on a patient held out has seen the answers

Symbols were chosen by hand for their usual reading in breast tissue. A few are outdated on purpose (ATP5B, HN1,
GNB2L1, SEPP1, WARS and more), and MT-, RPL and RPS names are among them, so that alias tables and prefix filters work.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["patch", "region", "nowhere"]


@dataclass(frozen=True, kw_only=True)
class Programme:
    """Genes that share what drives them; ``drivers`` maps an activity of ``phantom_counts`` to its weight."""

    kind: Kind
    drivers: dict[str, float]
    symbols: tuple[str, ...]


def _programme(kind: Kind, drivers: dict[str, float], symbols: str) -> Programme:
    return Programme(kind=kind, drivers=drivers, symbols=tuple(symbols.split()))


PROGRAMMES: dict[str, Programme] = {
    "epithelial": _programme(
        "patch",
        {"tumour": 1.0},
        """ERBB2 KRT8 KRT18 KRT19 KRT7 EPCAM CDH1 MUC1 ESR1 GATA3 FOXA1 XBP1 TFF1 TFF3 AGR2 AGR3 GRB7 STARD3 PGAP3
        MIEN1 CLDN3 CLDN4 CLDN7 ELF3 SPINT1 SPINT2 TACSTD2 CD24 SPDEF MLPH AZGP1 PIP SCGB2A2 SCGB1D2 MUCL1 CRABP2
        FASN SCD PERP DSP JUP CD9 CD63 PRLR AR CRIP2 EFHD1 NPDC1 SLC39A6 ANKRD30A TRPS1 CEACAM6 S100A14 S100A13
        LMO4 RAB25 ESRP1 OVOL1 BCAM FXYD3 KRT81 PDZK1IP1 RHOB TSPAN1 ERBB3""",
    ),
    "proliferation": _programme(
        "patch",
        {"proliferating": 1.0},
        """MKI67 TOP2A PCNA MCM2 MCM3 MCM4 MCM5 MCM6 MCM7 CCNB1 CCNB2 CCNA2 CCNE1 CDK1 CDC20 CDC6 BUB1 BUB1B AURKA
        AURKB PLK1 TYMS RRM1 RRM2 UBE2C BIRC5 TPX2 CENPF CENPE CENPA NUSAP1 KIF11 KIF20A KIF23 KIF2C HMGB2 HMGB1
        H2AFZ STMN1 TUBA1B TUBB TUBB4B DEK NPM1 NCL FOXM1 MYBL2 E2F1 CKS1B CKS2 TK1 DUT PTTG1 ZWINT SMC4 SMC2
        TRIP13 HN1 LMNB1 RACGAP1 ANLN PRC1 DTYMK RAN""",
    ),
    "collagen": _programme(
        "patch",
        {"stroma": 1.0},
        """COL1A1 COL1A2 COL3A1 COL5A1 COL5A2 COL6A1 COL6A2 COL6A3 COL12A1 COL14A1 COL16A1 COL18A1 FN1 SPARC DCN LUM
        BGN FBLN1 FBLN2 FBN1 ELN POSTN THBS2 VCAN AEBP1 MMP2 TIMP1 TIMP3 PDGFRA PDGFRB THY1 FAP LOXL1 PCOLCE CTSK
        ISLR MFAP2 MFAP4 MFAP5 SFRP2 SFRP4 DPT OGN ASPN PRELP C1R C1S SERPINF1 SERPING1 IGFBP4 IGFBP5 IGFBP7 VIM
        LGALS1 S100A6 TAGLN ACTA2 MYL9 TPM2 CALD1 CNN1""",
    ),
    "lymphoid": _programme(
        "patch",
        {"immune": 1.0},
        """CD3D CD3E CD3G CD247 CD2 CD4 CD8A CD8B CD5 CD6 CD7 CD27 CD28 IL7R LCK ZAP70 TRBC1 TRBC2 TRAC CCR7 SELL LTB
        TCF7 GZMA GZMB GZMK GZMH NKG7 PRF1 GNLY KLRB1 PTPRC CORO1A CD37 CD48 CD52 CD53 CD69 CD79A CD79B MS4A1 CD19
        BANK1 PAX5 CXCR4 CXCR5 RAC2 ARHGDIB LSP1 IKZF1 IL2RG""",
    ),
    "plasma": _programme(
        "patch",
        {"immune": 0.7, "stroma": 0.3},
        """IGKC IGHG1 IGHG2 IGHG3 IGHG4 IGHA1 IGHM IGLC2 IGLC3 JCHAIN MZB1 DERL3 TNFRSF17 SDC1 PRDM1 IRF4 POU2AF1
        FCRL5 FKBP11 SEC11C""",
    ),
    "myeloid": _programme(
        "patch",
        {"immune": 0.5, "necrosis": 0.7},
        """CD68 CD163 CD14 CSF1R LYZ TYROBP FCER1G AIF1 C1QA C1QB C1QC MARCO MSR1 MRC1 APOE APOC1 CTSB CTSD CTSS CTSZ
        GPNMB SPP1 LAPTM5 FCGR3A FCGR2A ITGAM ITGB2 ITGAX S100A8 S100A9 SEPP1 FTL FTH1 PSAP GRN""",
    ),
    "adipose": _programme(
        "patch",
        {"fat": 1.0},
        """ADIPOQ FABP4 PLIN1 PLIN4 LEP LPL LIPE PNPLA2 CIDEC CIDEA CD36 PPARG CEBPA AQP7 GPD1 DGAT2 ACACB G0S2 ADH1B
        CFD RBP4 TUSC5 FABP5 ACSL1 THRSP PDE3B TIMP4 SORBS1 GPAM RETN""",
    ),
    "necrosis": _programme(
        "patch",
        {"necrosis": 1.0},
        """CA9 VEGFA ADM NDRG1 SLC2A1 SLC2A3 LDHA PGK1 PFKFB3 PFKFB4 BNIP3 BNIP3L ENO1 ENO2 ALDOA ALDOC GAPDH TPI1
        PGAM1 HK2 EGLN3 ANKRD37 ANGPTL4 P4HA1 P4HA2 PLOD2 DDIT4 ERO1L INSIG2 MXI1 KDM3A CXCL8 IL1B PTGS2 TREM1
        SERPINE1 HILPDA STC2 FAM162A LOX""",
    ),
    "translation": _programme(
        "patch",
        {"cells": 0.6},
        """RPL3 RPL5 RPL7A RPL8 RPL10 RPL11 RPL13 RPL13A RPL15 RPL18 RPL19 RPL23 RPL27A RPL28 RPL32 RPL37A RPLP0 RPLP1
        RPLP2 RPS2 RPS3 RPS4X RPS5 RPS6 RPS8 RPS11 RPS12 RPS14 RPS15 RPS16 RPS18 RPS19 RPS23 RPS27A RPSA EEF1A1
        EEF1G EEF2 EIF4A1 EIF3H GNB2L1 TPT1 NACA PABPC1 FAU UBA52""",
    ),
    "respiration": _programme(
        "patch",
        {"tumour": 0.6, "fat": 0.3},
        """MT-CO1 MT-CO2 MT-CO3 MT-ND1 MT-ND2 MT-ND3 MT-ND4 MT-ND5 MT-ATP6 MT-CYB ATP5B ATP5A1 ATP5G1 ATP5G3 ATP5O
        COX4I1 COX5A COX5B COX6A1 COX6C COX7A2 COX7C COX8A NDUFA4 NDUFB4 NDUFB9 NDUFS5 UQCRB UQCRQ UQCRH UQCRC1
        CYC1 CYCS SDHA SDHB MDH1 MDH2 IDH2 CS ACO2 SLC25A3 SLC25A5 SLC25A6 VDAC1 VDAC2""",
    ),
    "interferon_niche": _programme(
        "region",
        {"immune_around": 1.0},
        """STAT1 STAT2 IRF1 IRF7 IRF9 ISG15 ISG20 IFI6 IFI27 IFI35 IFI44 IFI44L IFIT1 IFIT2 IFIT3 IFITM1 IFITM3 MX1
        MX2 OAS1 OAS2 OAS3 OASL BST2 GBP1 GBP2 GBP4 GBP5 CXCL9 CXCL10 CXCL11 CCL5 PSMB8 PSMB9 PSMB10 TAP1 TAP2
        TAPBP B2M HLA-A HLA-B HLA-C HLA-E HLA-DRA HLA-DRB1 CD74 WARS IDO1 LAG3 UBE2L6 XAF1 SAMD9L PARP14 EPSTI1""",
    ),
    "invasive_front": _programme(
        "region",
        {"tumour_around": 1.0},
        """MMP1 MMP3 MMP9 MMP11 MMP13 MMP14 LAMB3 LAMC2 LAMA3 ITGA2 ITGA3 ITGA6 ITGB1 ITGB4 ITGAV TGFB1 TGFBI TGFB2
        SNAI2 TWIST1 ZEB1 INHBA TNC PLAU PLAUR CD44 CDH2 CDH3 WNT5A LRP1 SERPINH1 LOXL2 CTHRC1 COL11A1 COL10A1
        GREM1 EDNRA AXL CAV1 ANXA2 FSTL1 CYR61 CTGF""",
    ),
    "hypoxic_rim": _programme(
        "region",
        {"necrosis_around": 1.0},
        """HIF1A EPAS1 ARNT HIF3A FLT1 KDR PECAM1 VWF CDH5 CLDN5 ESM1 ANGPT2 TEK TIE1 EGFL7 PLVAP ENG MCAM ESAM EMCN
        RAMP2 ROBO4 SOX17 APLN APLNR NOS3 PGF PDGFB PTPRB TGM2""",
    ),
    "immediate_early": _programme(
        "nowhere",
        {"unseen_1": 1.0},
        """FOS FOSB FOSL1 JUN JUNB JUND EGR1 EGR2 EGR3 ATF3 IER2 IER3 IER5 DUSP1 DUSP2 DUSP5 DUSP6 KLF2 KLF4 KLF6
        KLF10 NR4A1 NR4A2 NR4A3 ZFP36 ZFP36L1 BTG1 BTG2 SOCS3 MYC MCL1 PPP1R15A GADD45A GADD45B CDKN1A TNFAIP3
        NFKBIA NFKBIZ SGK1 TRIB1 ARC RGS1 RGS2 SRF""",
    ),
    "heat_shock": _programme(
        "nowhere",
        {"unseen_2": 1.0},
        """HSPA1A HSPA1B HSPA5 HSPA6 HSPA8 HSPA9 HSP90AA1 HSP90AB1 HSP90B1 HSPB1 HSPD1 HSPE1 HSPH1 DNAJA1 DNAJB1
        DNAJB4 DNAJB9 DNAJC3 BAG3 CRYAB FKBP4 STIP1 CHORDC1 CACYBP AHSA1 DDIT3 ATF4 ATF6 CALR CANX PDIA3 PDIA4
        PDIA6 HYOU1 SDF2L1 TRIB3 ASNS CHAC1 CREB3L2 MANF HERPUD1""",
    ),
    "cholesterol": _programme(
        "nowhere",
        {"unseen_3": 1.0},
        """HMGCR HMGCS1 LDLR SQLE FDFT1 FDPS IDI1 MVD MVK LSS CYP51A1 DHCR7 DHCR24 SC5D MSMO1 NSDHL HSD17B7 TM7SF2 EBP
        ACAT2 PCSK9 INSIG1 SREBF1 SREBF2 STARD4 NPC1L1 ABCA1 ABCG1 MT1E MT1F MT1G MT1M MT1X MT2A NQO1 HMOX1 TXNRD1
        SRXN1 GCLM GCLC SLC7A11""",
    ),
}


def programme_of() -> dict[str, tuple[str, Kind]]:
    """Symbol → (programme, kind), in the order of the phantom's gene table."""
    return {symbol: (name, p.kind) for name, p in PROGRAMMES.items() for symbol in p.symbols}


def choose_symbols(n_genes: int | None) -> tuple[str, ...]:
    """The first ``n_genes`` symbols of a ranking that serves all programmes in proportion; ``None``: all of them.

    The order of the gene table is kept, so that a smaller phantom has a subset of the larger one's genes.
    """
    places = {s: ((rank + 0.5) / len(p.symbols), s) for p in PROGRAMMES.values() for rank, s in enumerate(p.symbols)}
    chosen = set(sorted(places, key=places.__getitem__)[:n_genes])
    return tuple(symbol for symbol in programme_of() if symbol in chosen)
